package connector

import (
	"fmt"
	"sync/atomic"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// ListenOptions configure a [Port]. The zero value is the default of every field.
type ListenOptions struct {
	// ReusePort gives each loop a TCP listener of its own (SO_REUSEPORT), among
	// which the kernel spreads connections by a hash, instead of one listener
	// whose loop hands them to the others in turn. The kernel then does not
	// move what waits at a listener whose loop is busy.
	ReusePort bool

	// Socket is what the listener gets, and what connections inherit from it;
	// its Local and ReusePort are ignored. May be nil.
	Socket *proactor.SocketOptions

	// Transport is what the connections get. May be nil.
	Transport *transport.Options
}

// A Port listens at an address and gives each connection a protocol of its
// factory: Twisted's IListeningPort. It lives on the first of its loops, and
// its connections on all of them, in turn. Except where a comment says "any
// goroutine", its methods are for the first loop's goroutine, or for any
// before that loop's first turn.
//
// A factory that builds nil, or panics, costs the one connection, which is
// closed.
type Port struct {
	l      *loop.Loop // the first one
	shares []*share   // one per loop
	addr   proactor.Address
	f      Factory
	o      ListenOptions
	member loop.Member

	adopted bool            // it did not make its socket,
	given   proactor.Handle // but was given it, until it starts

	state   portState
	turn    int // whose the next connection is
	missing int // shares that have not confirmed the stop
	stopped *loop.Future[struct{}]
	stopErr error
	drains  []*loop.Future[struct{}]

	// Of all loops:
	open     atomic.Bool // connections are still given to the factory
	draining atomic.Bool // somebody waits for the last connection's end
	conns    atomic.Int64
}

// A portState is where a Port is in its life.
//
//	         Start                StopListening, the loop's end
//	closed ─────────▶ listening ────────────────────────────────▶ closing
//	  ▲                                                              │
//	  └──── every loop has stopped accepting; factory's DoStop ──────┘
type portState uint8

const (
	closed portState = iota
	listening
	closing
)

// Listen makes a port on loops and starts it; see [Port.Start] for the errors.
// It is called on the goroutine of the first loop.
func Listen(loops []*loop.Loop, addr proactor.Address, f Factory, o ListenOptions) (*Port, error) {
	p := newPort(loops, addr, f, o)
	if addr.IsUnix() {
		p.o.ReusePort = false // it means nothing there
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

func newPort(loops []*loop.Loop, addr proactor.Address, f Factory, o ListenOptions) *Port {
	p := &Port{l: loops[0], addr: addr, f: f, o: o}
	for _, l := range loops {
		p.shares = append(p.shares, &share{port: p, l: l})
	}
	p.member.Owner = (*portEvents)(p)
	return p
}

// Addr returns the address that the port is bound to, with the number that the
// kernel chose if 0 was asked for. A port that is started again keeps it. Any
// goroutine.
func (p *Port) Addr() proactor.Address { return p.addr }

// Loop returns the loop that the port lives on. Any goroutine.
func (p *Port) Loop() *loop.Loop { return p.l }

// Handle returns the handle of the listener of the port's loop, for socket
// options; 0, which names nothing, while the port is closed.
func (p *Port) Handle() proactor.Handle {
	if n := p.shares[0].listener; n != nil {
		return n.Handle()
	}
	return 0
}

// Factory returns the factory, as it was given. Any goroutine.
func (p *Port) Factory() Factory { return p.f }

// Conns returns how many connections the port has accepted that have not
// ended. Any goroutine.
func (p *Port) Conns() int { return int(p.conns.Load()) }

// Listening reports whether the port accepts connections. Any goroutine.
func (p *Port) Listening() bool { return p.open.Load() }

// String returns address and state. Any goroutine.
func (p *Port) String() string {
	if p.Listening() {
		return fmt.Sprintf("port at %v, listening", p.addr)
	}
	return fmt.Sprintf("port at %v, closed", p.addr)
}

// Start makes a port listen that has stopped. It returns [ErrNotIdle] if the
// port listens, or if a Drain still waits; a *transport.ConnError if the
// address cannot be had, a busy one for example; loop.ErrStopped if the loop is
// stopping. After an error nothing is left of the attempt.
func (p *Port) Start() error {
	if p.l.Ending() {
		return loop.ErrStopped
	}
	if p.state != closed || len(p.drains) > 0 {
		return ErrNotIdle
	}
	handles, err := p.bind()
	if err != nil {
		return err
	}
	if v := guard(p.l, func() { doStart(p.f) }); v != nil {
		p.closeAll(handles)
		return &transport.ConnError{Op: "listen", Addr: p.addr, Kind: transport.Panicked, Err: &transport.PanicError{Value: v}}
	}
	p.state, p.stopped, p.stopErr, p.turn = listening, nil, nil, 0
	p.l.Join(&p.member)
	p.open.Store(true)
	logUse(p.l, "a port starts", &p.addr, p.f)
	for i, h := range handles {
		p.shares[i].listen(h)
	}
	return nil
}

// bind opens the listening sockets, all of them on the first loop, so that an
// error is known at once.
func (p *Port) bind() ([]proactor.Handle, error) {
	if p.adopted {
		return p.take()
	}
	var o proactor.SocketOptions
	if p.o.Socket != nil {
		o = *p.o.Socket
	}
	if err := o.Check(); err != nil {
		return nil, &transport.ConnError{Op: "listen", Addr: p.addr, Kind: transport.Failed, Err: err}
	}
	o.Local, o.ReusePort = proactor.Address{}, p.o.ReusePort && len(p.shares) > 1
	count := 1
	if o.ReusePort {
		count = len(p.shares)
	}
	addr := p.addr
	var handles []proactor.Handle
	for range count {
		h, at, err := p.l.Sockets().Listen(addr, &o)
		if err != nil {
			p.closeAll(handles)
			return nil, &transport.ConnError{Op: "listen", Addr: addr, Kind: transport.Failed, Err: err}
		}
		handles, addr = append(handles, h), at
	}
	if p.addr != addr { // only the first time, before other loops read it
		p.addr = addr
	}
	return handles, nil
}

func (p *Port) closeAll(handles []proactor.Handle) {
	for _, h := range handles {
		_ = p.l.Sockets().CloseFD(h)
	}
}

// StopListening stops accepting; connections live on. When it returns, the
// factory gets no more BuildProtocol on this loop; on the others, and the
// address free for another listener, when the future is completed, which is
// after the factory's DoStop. What that panics with is the future's error.
// Every call during one stop returns the same future; on a port that is
// closed, one that is completed.
func (p *Port) StopListening() *loop.Future[struct{}] {
	switch p.state {
	case closed:
		return loop.Completed(p.l, struct{}{}, nil)
	case closing:
		return p.stopped
	}
	p.state = closing
	p.stopped = loop.NewFuture[struct{}](p.l)
	p.open.Store(false)
	p.missing = len(p.shares)
	for _, s := range p.shares {
		s.stop()
	}
	return p.stopped
}

// confirmed takes note that one share has stopped.
func (p *Port) confirmed(err error) {
	if p.stopErr == nil {
		p.stopErr = err
	}
	p.missing--
	if p.state == closing && p.missing == 0 {
		p.close()
	}
}

// close ends the port's life, once nothing of it listens any more.
func (p *Port) close() {
	p.state = closed
	logUse(p.l, "a port is closed", &p.addr, p.f)
	defer p.l.Leave(&p.member)
	if v := guard(p.l, func() { doStop(p.f) }); v != nil && p.stopErr == nil {
		p.stopErr = &transport.PanicError{Value: v}
	}
	p.stopped.Complete(struct{}{}, p.stopErr)
	p.checkDrained()
}

// portEvents is a Port as its loop sees it.
type portEvents Port

// Finish stops accepting in a loop's Shutdown.
func (e *portEvents) Finish() { (*Port)(e).StopListening() }

// Fail is the loop's end. The other loops cannot tell this one any more that
// they have stopped, so it does not wait for that.
func (e *portEvents) Fail(err error) {
	p := (*Port)(e)
	p.StopListening()
	if p.state == closing {
		p.close()
	}
	for _, d := range p.drains {
		d.Complete(struct{}{}, err)
	}
	p.drains = nil
}
