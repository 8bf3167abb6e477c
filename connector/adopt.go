package connector

import (
	"fmt"
	"syscall"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// Adopt makes a port on loops of a listening socket that is there already,
// and starts it: TCP or unix. The port works on a duplicate (dup(2)) of fd, so fd
// stays the caller's, to be closed when he likes; it becomes O_NONBLOCK. Whoever
// else has the socket goes on accepting when the port stops; a unix socket's
// file stays. Such a port starts once: see [ErrAdopted]. The socket's own
// options, and o.ReusePort, are ignored.
//
// The error is a *transport.ConnError whose cause is ENOTSOCK, EINVAL for a
// socket that does not listen, EBADF, EPROTONOSUPPORT. It is called on the
// goroutine of the first loop. (Twisted's IReactorSocket.adoptStreamPort.)
func Adopt(loops []*loop.Loop, fd int, f Factory, o ListenOptions) (*Port, error) {
	h, local, _, err := adopt(loops[0], fd, true)
	if err != nil {
		return nil, err
	}
	o.ReusePort = false
	p := newPort(loops, local, f, o)
	p.adopted, p.given = true, h
	if err := p.Start(); err != nil {
		if p.given != 0 {
			_ = p.l.Sockets().CloseFD(p.given)
		}
		return nil, err
	}
	return p, nil
}

// take gives an adopted port its socket, once.
func (p *Port) take() ([]proactor.Handle, error) {
	if p.given == 0 {
		return nil, ErrAdopted
	}
	h := p.given
	p.given = 0
	return []proactor.Handle{h}, nil
}

// AdoptConnection makes a connection of l's of a connected stream socket, and
// gives it a protocol of f, which is told of nothing else. It works on a
// duplicate of fd, as [Adopt] does. The errors are those of Adopt, ENOTCONN, and
// [ErrNoProtocol] if f builds nil or panics: then nothing is left of the
// duplicate. Loop goroutine. (Twisted's IReactorSocket.adoptStreamConnection.)
func AdoptConnection(l *loop.Loop, fd int, f Factory, o *transport.Options) (transport.Transport, error) {
	h, local, peer, err := adopt(l, fd, false)
	if err != nil {
		return nil, err
	}
	var p transport.Protocol
	guard(l, func() { p = f.BuildProtocol(peer) })
	if p == nil {
		_ = l.Sockets().CloseFD(h)
		return nil, &transport.ConnError{Op: "adopt", Addr: peer, Kind: transport.Refused, Err: ErrNoProtocol}
	}
	c := transport.NewConn(l, h, local, peer, o)
	c.Start(p)
	return c, nil
}

// adopt returns a handle of a duplicate of fd, a listening or a connected
// stream socket, and its addresses.
func adopt(l *loop.Loop, fd int, listening bool) (h proactor.Handle, local, peer proactor.Address, err error) {
	fail := func(err error) (proactor.Handle, proactor.Address, proactor.Address, error) {
		return 0, local, peer, &transport.ConnError{Op: "adopt", Addr: local, Kind: transport.Failed, Err: err}
	}
	if l.Ending() {
		return fail(loop.ErrStopped)
	}
	sockets := l.Sockets()
	own, err := sockets.Duplicate(fd)
	if err != nil {
		return fail(err)
	}
	if h, err = sockets.Adopt(own); err != nil {
		_ = sockets.Discard(own)
		return fail(err)
	}
	local, peer, err = sockets.Names(h)
	_, refused := sockets.Refuse(h, 0) // asks, and refuses nobody
	switch {
	case err != nil:
	case !local.IsValid():
		err = syscall.ENOTSOCK
	case local.Kind() != proactor.TCP && local.Kind() != proactor.Unix:
		err = fmt.Errorf("the socket is for %v, want tcp or unix: %w", local.Kind(), syscall.EPROTONOSUPPORT)
	case listening && refused != nil:
		err = fmt.Errorf("the socket does not listen: %w", syscall.EINVAL)
	case !listening && refused == nil:
		err = fmt.Errorf("the socket listens: %w", syscall.EINVAL)
	case !listening && !peer.IsValid():
		err = syscall.ENOTCONN
	}
	if err != nil {
		_ = sockets.CloseFD(h)
		return fail(err)
	}
	return h, local, peer, nil
}
