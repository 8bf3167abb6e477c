package netconn

import (
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"mobius/loop"
	"mobius/proactor"
)

// A socket is what a [Conn] and a [PacketConn] have in common: where it lives,
// what it is called, whether it is over, and who uses its descriptor's number.
type socket struct {
	l         *loop.Loop
	b         proactor.Backend
	h         proactor.Handle
	network   string // as the dialer or the listener was told
	local     net.Addr
	remote    net.Addr // nil for packets unless it was dialed
	state     atomic.Uint32
	posted    atomic.Bool // serve will run
	serveFunc func()      // what goroutines want of the loop
	errand    *errand     // the writer's
	member    loop.Member

	borrow sync.Mutex // guards what follows
	guests int        // goroutines that use the descriptor's number
	left   bool       // the loop waits for them
	closed bool       // the number is another's
}

// What socket.state says.
const (
	live    = iota
	stopped // the loop has stopped
	closed  // Close was called
)

// errStopped is what a connection meets whose reactor has stopped.
var errStopped = fmt.Errorf("%w: %w", net.ErrClosed, loop.ErrStopped)

// closing returns why nothing begins any more, nil if it does.
func (s *socket) closing() error {
	switch s.state.Load() {
	case live:
		return nil
	case stopped:
		return errStopped
	}
	return net.ErrClosed
}

// post makes the loop look at what is wanted of it. One that is over looks at
// nothing any more: its operations have ended, or will, by Fail and Abandon. Any
// goroutine.
func (s *socket) post() {
	if s.posted.CompareAndSwap(false, true) && s.l.Insist(s.serveFunc) != nil {
		s.errand.mu.Lock()
		s.errand.refuse()
		s.errand.mu.Unlock()
	}
}

// setError is err as package net returns it from a method that sets something.
func (s *socket) setError(err error) error {
	return &net.OpError{Op: "set", Net: s.network, Addr: s.local, Err: err}
}

// with calls f with the descriptor's number, which stays what it is meanwhile.
func (s *socket) with(f func(fd int) error) error {
	fd, err := s.number()
	if err != nil {
		return err
	}
	defer s.giveBack()
	return f(fd)
}

// file returns a duplicate of the descriptor under a name.
func (s *socket) file(name string) (*os.File, error) {
	var own int
	err := s.with(func(fd int) (err error) {
		own, err = s.b.Duplicate(fd)
		return inCall("dup", err)
	})
	if err != nil {
		return nil, &net.OpError{Op: "file", Net: s.network, Source: s.local, Addr: s.remote, Err: err}
	}
	return os.NewFile(uintptr(own), name), nil
}

// number lends the descriptor's number until giveBack.
func (s *socket) number() (int, error) {
	s.borrow.Lock()
	defer s.borrow.Unlock()
	if err := s.closing(); err != nil {
		return -1, err
	}
	if s.closed {
		return -1, net.ErrClosed
	}
	n, err := s.b.Number(s.h)
	if err == nil {
		s.guests++
	}
	return n, err
}

// giveBack ends the use of the number. The loop, if it waits for the last one, is
// told.
func (s *socket) giveBack() {
	s.borrow.Lock()
	s.guests--
	last := s.guests == 0 && s.left
	s.borrow.Unlock()
	if last {
		s.post()
	}
}

// vacate reports, once, that nobody uses the number, nor will: the descriptor may
// be closed. If it is used, serve will run when it is not. Loop goroutine.
func (s *socket) vacate() bool {
	s.borrow.Lock()
	defer s.borrow.Unlock()
	s.left = s.guests > 0
	if s.left || s.closed {
		return false
	}
	s.closed = true
	return true
}
