package datagram

import (
	"syscall"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// Adopt makes a port on l of a datagram socket that is there already, UDP or
// unix, and starts p on it. The port works on a duplicate (dup(2)) of fd, so fd
// stays the caller's, to be closed when he likes; it becomes O_NONBLOCK. Whoever
// else has the socket goes on using it when the port stops; a unix socket's file
// stays. Of several that receive, each datagram reaches one. A socket that is
// connected is adopted as such. The port starts once: see
// transport.ErrAdopted. The socket keeps its options: o.Socket is ignored.
//
// The error is a *transport.ConnError whose cause is ENOTSOCK, EPROTONOSUPPORT for
// a socket that is no datagram one, EBADF, or loop.ErrStopped: then nothing is
// left of the duplicate. o may be nil. (Twisted's
// IReactorSocket.adoptDatagramPort.)
func Adopt(l *loop.Loop, fd int, p Protocol, o *Options) (*Port, error) {
	fail := func(err error) (*Port, error) {
		return nil, &transport.ConnError{Op: "adopt", Kind: transport.Failed, Err: err}
	}
	if l.Ending() {
		return fail(loop.ErrStopped)
	}
	sockets := l.Sockets()
	own, err := sockets.Duplicate(fd)
	if err != nil {
		return fail(err)
	}
	h, err := sockets.Adopt(own)
	if err != nil {
		_ = sockets.Discard(own)
		return fail(err)
	}
	local, remote, err := sockets.Names(h)
	if err == nil {
		err = whyNot(local)
	}
	if err != nil {
		_ = sockets.CloseFD(h)
		return fail(err)
	}
	t := &Port{l: l, p: p, remote: remote, o: o.withDefaults(), adopted: true}
	t.start(h, local)
	return t, nil
}

// whyNot returns why no port can be made of a descriptor whose own address is
// local, nil if one can.
func whyNot(local proactor.Address) error {
	switch local.Kind() {
	case proactor.UDP, proactor.Unixgram:
		return nil
	case proactor.NoNetwork:
		return syscall.ENOTSOCK
	}
	return syscall.EPROTONOSUPPORT
}
