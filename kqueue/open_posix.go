//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package kqueue

import (
	"syscall"

	"golang.org/x/sys/unix"

	"mobius/internal/ready"
	"mobius/proactor"
)

// Options are the limits of a backend; the zero value is as shipped.
type Options = ready.Options

// New returns a backend over system, which it owns, also if New fails.
func New(system System, o Options) (proactor.Backend, error) {
	s, err := newSelector(system)
	if err != nil {
		return nil, err
	}
	return ready.New(s, o)
}

// A pipeWaker wakes by a byte in a pipe, where there is no User filter.
type pipeWaker struct{ r, w int }

func newPipeWaker(system System) (*pipeWaker, error) {
	var fds [2]int
	syscall.ForkLock.RLock()
	err := unix.Pipe(fds[:])
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	p := &pipeWaker{fds[0], fds[1]}
	for _, fd := range fds {
		if err == nil {
			err = unix.SetNonblock(fd, true)
		}
	}
	if err == nil {
		change := [1]Event{{Ident: uint64(p.r), Filter: Read, Flags: Add | Clear}}
		_, err = system.Kevent(change[:], nil, 0)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *pipeWaker) wake() {
	for {
		// EAGAIN: it is full of wake-ups.
		if _, err := unix.Write(p.w, []byte{1}); err != unix.EINTR {
			return
		}
	}
}

func (p *pipeWaker) is(ev *Event) bool {
	if ev.Filter != Read || ev.Ident != uint64(p.r) {
		return false
	}
	var buf [64]byte
	for {
		n, err := unix.Read(p.r, buf[:])
		if err != unix.EINTR && n < len(buf) {
			return true
		}
	}
}

func (p *pipeWaker) close() error {
	err := unix.Close(p.r)
	if werr := unix.Close(p.w); err == nil {
		err = werr
	}
	return err
}
