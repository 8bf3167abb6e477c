package datagram

import (
	"errors"
	"maps"
	"syscall"
)

// Stats count what a port has met, since it was made.
type Stats struct {
	Received  uint64 // datagrams given to the protocol
	Sent      uint64 // datagrams that the kernel took
	Truncated uint64 // datagrams longer than the backend's buffers; those who are not Informed do not get them
	Full      uint64 // writes that were refused with ErrFull

	// Errors of sending and of receiving, by number, nil without any; and how
	// many were no errno.
	SendErrors, ReceiveErrors map[syscall.Errno]uint64
	OtherErrors               uint64
}

// Stats returns the counters. Loop goroutine.
func (p *Port) Stats() Stats {
	s := p.stats
	s.SendErrors, s.ReceiveErrors = maps.Clone(s.SendErrors), maps.Clone(s.ReceiveErrors)
	return s
}

// count notes err in one of the maps.
func (s *Stats) count(in *map[syscall.Errno]uint64, err error) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		s.OtherErrors++
		return
	}
	if *in == nil {
		*in = map[syscall.Errno]uint64{}
	}
	(*in)[errno]++
}
