//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"syscall"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A child is a process that Spawn has started.
type child struct {
	pid    int
	reaped bool
	status int // once it is reaped
}

// Process returns the number of e's child, 0 if it is none. Until Reap has
// said that it ended the number is nobody else's.
func (e *Entry) Process() int {
	if e.child == nil {
		return 0
	}
	return e.child.pid
}

// Reap asks whether e's child has ended, and with which wait status (wait(2)).
// It waits for this child alone, and may be asked again.
func (e *Entry) Reap() (status int, ended bool, err error) {
	if e.child == nil {
		return 0, true, unix.ECHILD
	}
	return e.child.reap()
}

func (c *child) reap() (status int, ended bool, err error) {
	for !c.reaped {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(c.pid, &ws, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			// ECHILD: somebody else in this process has waited for it.
			return 0, true, err
		case pid == 0:
			return 0, false, nil
		default:
			c.reaped, c.status = true, int(ws)
		}
	}
	return c.status, true, nil
}

// Signal implements proactor.Sockets.
func (s *Sockets) Signal(h proactor.Handle, signal syscall.Signal) error {
	c, err := s.live(h)
	if err != nil {
		return err
	}
	// Until it is reaped the number is the child's.
	return unix.Kill(c.pid, signal)
}

// ProcessID implements proactor.Sockets.
func (s *Sockets) ProcessID(h proactor.Handle) (int, error) {
	c, err := s.live(h)
	if err != nil {
		return 0, err
	}
	return c.pid, nil
}

// live returns a child that was not reaped.
func (s *Sockets) live(h proactor.Handle) (*child, error) {
	e := s.Lookup(h)
	switch {
	case e == nil:
		return nil, proactor.ErrClosed
	case e.child == nil:
		return nil, unix.ECHILD
	case e.child.reaped:
		return nil, unix.ESRCH
	}
	return e.child, nil
}
