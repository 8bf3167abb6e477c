package datagram

import (
	"context"
	"log/slog"
	"net"
	"runtime/debug"
	"syscall"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// A Port is one datagram socket and its protocol's transport: Twisted's
// IListeningPort together with IUDPTransport, IMulticastTransport or
// IUNIXDatagramTransport. All methods are for the goroutine of its loop.
type Port struct {
	recv  proactor.Op
	from  proactor.Address
	msg   proactor.Msg
	l     *loop.Loop
	p     Protocol
	state state
	flags flags

	informed       Informed // the protocol's abilities; nil: it has not
	informedTrains InformedTrainReceiver
	plainTrains    TrainReceiver

	store   *store
	active  *packet // sends under way
	queued  int     // how many
	bytes   int     // and of how many bytes
	kept    []kept  // received during a pause
	row     int     // errors of receiving since the latest datagram
	bound   proactor.Address
	local   proactor.Address // what Listen was given
	remote  proactor.Address
	dial    proactor.Op
	dialing *loop.Future[struct{}]
	stopped *loop.Future[struct{}]
	adopted bool // it did not make its socket, and does not start again
	why     *transport.ConnError
	timer   loop.Timer // rests, or the end of patience in stopping
	flush   loop.Flush
	member  loop.Member
	o       Options
	stats   Stats
}

// A state is where a Port is in its life.
//
//	         Start             StopListening, an error, the loop's end
//	closed ─────────▶ started ─────────────────────────────────────────▶ stopping
//	  ▲                                                                     │
//	  └─────────── no operation active; StopProtocol ───────────────────────┘
type state uint8

const (
	closed state = iota
	started
	stopping
)

// flags are what is independent of the state.
type flags uint8

const (
	paused  flags = 1 << iota // PauseReading
	resting                   // after errors, until the timer
	full                      // a write was refused since the queue was last half empty
	takes4                    // datagrams can go to IPv4 addresses …
	takes6                    // … and to IPv6 ones
)

func (f flags) has(x flags) bool { return f&x != 0 }

// Listen binds a port at addr on l and starts p on it. Port number 0 is one of
// the kernel's choice; a unix address without a path is a socket that can only
// send. Errors are *transport.ConnError: a busy address, for example, is
// EADDRINUSE. o may be nil.
func Listen(l *loop.Loop, addr proactor.Address, p Protocol, o *Options) (*Port, error) {
	t := &Port{l: l, p: p, local: addr, o: o.withDefaults()}
	if err := t.Start(); err != nil {
		return nil, err
	}
	return t, nil
}

// Start binds a port again that has stopped, at the address that it had, and
// starts its protocol once more. It is an error if it has not stopped (EISCONN), or
// was adopted (transport.ErrAdopted).
func (p *Port) Start() error {
	fail := func(err error) error {
		return &transport.ConnError{Op: "listen", Addr: p.local, Kind: transport.Failed, Err: err}
	}
	if p.state != closed {
		return fail(syscall.EISCONN)
	}
	if p.adopted {
		return fail(transport.ErrAdopted)
	}
	if p.l.Ending() {
		return fail(loop.ErrStopped)
	}
	h, bound, err := p.l.Sockets().Packet(p.local, p.o.Socket)
	if err != nil {
		return fail(err)
	}
	p.remote = proactor.Address{}
	p.start(h, bound)
	return nil
}

func (p *Port) start(h proactor.Handle, bound proactor.Address) {
	e := (*events)(p)
	p.bound, p.local = bound, bound
	p.state, p.flags, p.why, p.row = started, 0, nil, 0
	p.stopped, p.dialing = nil, nil
	p.recv = proactor.Op{Kind: proactor.OpRecvFrom, Handle: h, Owner: e, Addr: &p.from, Msg: &p.msg}
	p.dial = proactor.Op{Kind: proactor.OpConnect, Handle: h, Owner: e, Addr: &p.remote}
	p.timer.Owner, p.flush.Owner, p.member.Owner = e, e, e
	p.informed, _ = transport.As[Informed](p.p)
	p.informedTrains, _ = transport.As[InformedTrainReceiver](p.p)
	p.plainTrains, _ = transport.As[TrainReceiver](p.p)
	p.store = storeOf(p.l)
	p.families()
	p.l.Join(&p.member)
	p.log("a port starts")
	p.call(func() { p.p.StartProtocol(p) })
	if p.state == started && !p.flags.has(paused) {
		p.l.Submit(&p.recv)
	}
}

// LocalAddr returns the address that the port is bound to, with the number that
// the kernel chose if 0 was asked for. It stays valid. (getHost)
func (p *Port) LocalAddr() proactor.Address { return p.bound }

// RemoteAddr returns the peer of a connected port, else an invalid address.
func (p *Port) RemoteAddr() proactor.Address { return p.remote }

// Handle returns the handle, which names nothing once the port has stopped.
func (p *Port) Handle() proactor.Handle { return p.recv.Handle }

// Loop returns the loop that the port lives on.
func (p *Port) Loop() *loop.Loop { return p.l }

// Protocol returns what the port was given.
func (p *Port) Protocol() Protocol { return p.p }

// Listening reports whether the port has started and not been stopped.
func (p *Port) Listening() bool { return p.state == started }

// SetOptions changes those of o that can be changed on a live socket, and
// Options reads them back; see [proactor.Sockets]. These are Twisted's setTTL,
// setLoopbackMode, setOutgoingInterface, setBroadcastAllowed and their getters.
func (p *Port) SetOptions(o *proactor.SocketOptions) error {
	return p.l.Sockets().SetOptions(p.recv.Handle, o)
}

// Options reads what SetOptions sets.
func (p *Port) Options() (proactor.SocketOptions, error) {
	return p.l.Sockets().Options(p.recv.Handle)
}

// Join makes the port a member of a multicast group, Leave ends that. An error
// is the kernel's: EINVAL for a group that is none, for example.
func (p *Port) Join(m proactor.Membership) error { return p.l.Sockets().Join(p.recv.Handle, m) }

// Leave ends a membership.
func (p *Port) Leave(m proactor.Membership) error { return p.l.Sockets().Leave(p.recv.Handle, m) }

// log logs the port's start or end, as those of stream ports are.
func (p *Port) log(what string) {
	if log := p.l.Log(); log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug(what, "address", p.bound.String(), "protocol", transport.LogPrefix(p.p), "loop", p.l.Name())
	}
}

// call calls the protocol. A panic in it is reported.
func (p *Port) call(f func()) {
	defer p.returned()
	f()
}

// returned is deferred around each call of the protocol's.
func (p *Port) returned() {
	if v := recover(); v != nil {
		p.l.Report(loop.Trouble{Kind: loop.Panicked, Value: v, Stack: debug.Stack()})
	}
}

// Connect makes to the port's one peer: writes without an address go there,
// and only what comes from there is received. The future is completed when the
// kernel has agreed; its error is ENOENT or ECONNREFUSED if there is no such unix
// socket. A second Connect is an error (EISCONN): there is no way back.
func (p *Port) Connect(to proactor.Address) *loop.Future[struct{}] {
	fail := func(err error) *loop.Future[struct{}] {
		err = &transport.ConnError{Op: "connect", Addr: to, Kind: transport.Failed, Err: err}
		return loop.Completed(p.l, struct{}{}, err)
	}
	switch {
	case p.state != started:
		return fail(net.ErrClosed)
	case p.remote.IsValid():
		return fail(syscall.EISCONN)
	}
	if err := p.reaches(to); err != nil {
		return fail(err)
	}
	p.remote = to
	p.dialing = loop.NewFuture[struct{}](p.l)
	p.l.Submit(&p.dial)
	return p.dialing
}

// connected takes the result of Connect.
func (p *Port) connected(err error) {
	if err != nil {
		err = &transport.ConnError{Op: "connect", Addr: p.remote, Kind: transport.Failed, Err: err}
		p.remote = proactor.Address{}
	} else if p.state == started && !p.bound.IsUnix() { // a wildcard is one address now, on either side
		local, peer, e := p.l.Sockets().Names(p.recv.Handle)
		if e == nil && local.IsValid() {
			p.bound = local
			p.families()
		}
		if e == nil && peer.IsValid() {
			p.remote = peer
		}
	}
	p.dialing.Complete(struct{}{}, err)
}

// restAfter is how many errors of receiving in a row are met by receiving on at
// once; rest is for how long the port then does not receive.
const (
	restAfter = 16
	rest      = 10 * time.Millisecond
)
