//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Places are a backend's own table of files: what is there is open without a
// descriptor of the process, and so no system call can name it. All methods are for
// the loop's goroutine.
type Places interface {
	// Put puts the file of fd into a free place. The descriptor stays, the
	// caller's. ENFILE if no place is free.
	Put(fd int) (place uint32, err error)

	// Install returns a descriptor of the file at a place, CLOEXEC, the caller's.
	// EMFILE if the process may have no more.
	Install(place uint32) (fd int, err error)

	// Remove empties a place. The file is closed unless somebody has a
	// descriptor of it.
	Remove(place uint32)
}

// placed reports whether h stands for a place, and for which.
func placed(h proactor.Handle) (place uint32, is bool) {
	return h.Index() &^ PlaceBit, h.Index()&PlaceBit != 0
}

// Borrow returns a descriptor of what h, which must be open, stands for, for
// the time of a few system calls: its number, or of a file without one a
// descriptor made for that. Return gives it back.
func (s *Sockets) Borrow(h proactor.Handle) (fd int, err error) {
	place, is := placed(h)
	if !is {
		return int(h.Index()), nil
	}
	fd, err = s.Places.Install(place)
	if err == unix.EMFILE && s.reserve >= 0 {
		unix.Close(s.reserve)
		s.reserve = -1
		fd, err = s.Places.Install(place)
	}
	return fd, err
}

// Return ends a Borrow of h.
func (s *Sockets) Return(h proactor.Handle, fd int) {
	if _, is := placed(h); !is {
		return
	}
	unix.Close(fd)
	if s.reserve < 0 && s.began {
		if fd, err := openReserve(); err == nil {
			s.reserve = fd
		}
	}
}

// newStream gives a stream that was just made its handle: in a place, if the
// backend has those. On error fd stays the caller's.
func (s *Sockets) newStream(fd, domain int, network proactor.Network) (*Entry, error) {
	if s.Places != nil {
		place, err := s.Places.Put(fd)
		if err != nil {
			return nil, err
		}
		unix.Close(fd)
		fd = int(PlaceBit | place)
	} else {
		s.table.used(fd)
	}
	e := s.Open(fd, Stream, network)
	e.Domain = uint8(domain)
	return e, nil
}

// AcceptedAt is Accepted for a connection that the kernel has put into a place.
// raw is the peer's address, nil if nobody asks.
func (s *Sockets) AcceptedAt(e *Entry, place uint32, raw *RawAddr) (h proactor.Handle, peer proactor.Address, ok bool) {
	if raw != nil {
		if peer = s.Address(raw, e.Network); !peer.IsValid() {
			s.Places.Remove(place)
			s.PeerGone++
			return 0, peer, false
		}
	}
	c := s.Open(int(PlaceBit|place), Stream, e.Network)
	c.Domain = e.Domain
	return c.Handle(), peer, true
}
