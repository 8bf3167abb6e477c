package mobius

import (
	"fmt"

	"mobius/connector"
	"mobius/internal/borrow"
	"mobius/transport/datagram"
)

// ErrAdopted answers the second Start of a port that was adopted, a [Port] or a
// [DatagramPort].
var ErrAdopted = connector.ErrAdopted

// AdoptStreamPort makes a port of a listening socket, TCP or unix, that is
// there already: from is its number, an *os.File, or a net.Listener or
// whatever else has a method SyscallConn. The port works on a duplicate: from
// stays the caller's in any case, who closes it when he likes; see
// [Reactor.Discard] for a number. See [connector.Adopt]. (Twisted's IReactorSocket.adoptStreamPort.)
func (r *Reactor) AdoptStreamPort(from any, f Factory, o ListenOptions) (*Port, error) {
	var p *Port
	err := r.adopt(r.loops[0], from, func(fd int) (err error) {
		p, err = connector.Adopt(r.loops, fd, f, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.keep(p)
	return p, nil
}

// AdoptStreamConnection makes a connection of a connected stream socket that
// is there already, as [Reactor.AdoptStreamPort] makes a port, and gives it a
// protocol of f. from may be a net.Conn: no bytes that it has read already are
// in the socket any more. On the goroutine of a loop the connection lives on
// that loop, else on the loops in turn. See [connector.AdoptConnection].
func (r *Reactor) AdoptStreamConnection(from any, f Factory, o *TransportOptions) (Transport, error) {
	var t Transport
	l := r.dialer()
	err := r.adopt(l, from, func(fd int) (err error) {
		t, err = connector.AdoptConnection(l, fd, f, o)
		return err
	})
	return t, err
}

// AdoptDatagramPort makes a port of a datagram socket, UDP or unix, that is
// there already, as [Reactor.AdoptStreamPort] does of a listening one, and starts
// p on it: from may be a net.PacketConn. On the goroutine of a loop the port
// lives on that loop, else on the first. See [datagram.Adopt]. (Twisted's
// IReactorSocket.adoptDatagramPort.)
func (r *Reactor) AdoptDatagramPort(from any, p DatagramProtocol, o DatagramOptions) (*DatagramPort, error) {
	l := r.inside()
	if l == nil {
		l = r.loops[0]
	}
	var port *DatagramPort
	err := r.adopt(l, from, func(fd int) (err error) {
		port, err = datagram.Adopt(l, fd, p, &o)
		return err
	})
	return port, err
}

// AddrOf returns the address that a socket is bound to, by its number; an invalid
// one for what is no socket. The socket stays the caller's, and becomes
// O_NONBLOCK, as by adoption.
func (r *Reactor) AddrOf(fd int) (Address, error) {
	var local Address
	err := r.describe(func() error {
		l := r.loops[0]
		h, err := copyOf(l, fd)
		if err != nil {
			return err
		}
		local, _, err = l.Sockets().Names(h)
		_ = l.Sockets().CloseFD(h) // nothing is active on it
		return err
	})
	return local, err
}

// Discard closes a descriptor that is the caller's and of no use to him any
// more, by its number: one that was inherited, for example, and adopted. EBADF if
// there is none. A descriptor that an *os.File or an object of package net owns is
// closed by that alone. The next file that is opened gets the number, also if it is
// one of 0 to 2: dup2(2) of /dev/null, instead of Discard, keeps these from that.
func (r *Reactor) Discard(fd int) error {
	return r.describe(func() error { return r.loops[0].Sockets().Discard(fd) })
}

// adopt calls f on l with from's number, which stays from's meanwhile.
func (r *Reactor) adopt(l *Loop, from any, f func(fd int) error) error {
	var failed error
	with := func(fd int) {
		if err := r.on(l, func() { failed = f(fd) }); err != nil {
			failed = err
		}
	}
	if err := borrow.With(from, with); err != nil {
		return fmt.Errorf("mobius: adopt: %w", err)
	}
	return failed
}
