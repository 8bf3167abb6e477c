package mobius

import (
	"mobius/connector"
)

// ListenTCP listens at addr, HOST:PORT with a numeric or empty host, and gives
// each connection a protocol of f. Port 0 is one of the kernel's choice; see
// Port.Addr. A busy port is an error.
func (r *Reactor) ListenTCP(addr string, f Factory) (*Port, error) {
	return r.listenAt("tcp", addr, f)
}

// ListenUNIX listens at the unix socket path, @name for an abstract one. A
// socket file that nobody answers at is replaced, under a lock on its
// directory (flock(2)), so that of several that start at once one listens and
// the others get EADDRINUSE. Where the directory cannot be locked, since it is
// not readable, it is EADDRINUSE too.
func (r *Reactor) ListenUNIX(path string, f Factory) (*Port, error) {
	return r.listenAt("unix", path, f)
}

func (r *Reactor) listenAt(network, text string, f Factory) (*Port, error) {
	addr, err := ParseAddress(network, text)
	if err != nil {
		return nil, err
	}
	return r.Listen(addr, f, ListenOptions{})
}

// Listen listens at addr. The port lives on the first loop, its connections on
// all loops in turn. Its methods are for that loop's goroutine, except where
// they say otherwise; Port.Shutdown and Port.Addr do.
func (r *Reactor) Listen(addr Address, f Factory, o ListenOptions) (*Port, error) {
	var p *Port
	var failed error
	if err := r.on(r.loops[0], func() { p, failed = connector.Listen(r.loops, addr, f, o) }); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	r.keep(p)
	return p, nil
}

// keep notes p for Shutdown, and forgets ports that have ended.
func (r *Reactor) keep(p *Port) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for old := range r.ports {
		if !old.Listening() && old.Conns() == 0 {
			delete(r.ports, old)
		}
	}
	r.ports[p] = struct{}{}
}

// ConnectTCP connects to addr, HOST:PORT, where the host may be a name that is
// looked up at each attempt. It returns as soon as the first attempt has
// begun; f is told how it goes. An error means that none began: addr is none,
// or the reactor has stopped.
func (r *Reactor) ConnectTCP(addr string, f ClientFactory) (*Connector, error) {
	return r.connectTo("tcp", addr, f)
}

// ConnectUNIX connects to the unix socket path, @name for an abstract one.
func (r *Reactor) ConnectUNIX(path string, f ClientFactory) (*Connector, error) {
	return r.connectTo("unix", path, f)
}

func (r *Reactor) connectTo(network, text string, f ClientFactory) (*Connector, error) {
	to, err := ParseDestination(network, text)
	if err != nil {
		return nil, err
	}
	return r.Connect(to, f, ConnectOptions{})
}

// Connect connects to a destination. On the goroutine of a loop it does so on
// that loop, else on the loops in turn. The Connector's methods are for that
// loop's goroutine; see Connector.Loop.
func (r *Reactor) Connect(to Destination, f ClientFactory, o ConnectOptions) (*Connector, error) {
	if o.Resolver == nil {
		o.Resolver = r.Resolver()
	}
	var c *Connector
	l := r.dialer()
	if err := r.on(l, func() { c = connector.Connect(l, to, f, o) }); err != nil {
		return nil, err
	}
	return c, nil
}

// dialer returns the loop that the next connector lives on.
func (r *Reactor) dialer() *Loop {
	if l := r.inside(); l != nil {
		return l
	}
	return r.loops[(r.dials.Add(1)-1)%uint32(len(r.loops))]
}

// on runs f on l's goroutine and returns when it has returned. Before Run that
// is the caller's, one caller at a time, and Run waits for it. After a Crash
// nobody would run f.
func (r *Reactor) on(l *Loop, f func()) error {
	if r.before(f) {
		return nil
	}
	r.mu.Lock()
	crashes := r.crashes && r.state != over
	r.mu.Unlock()
	if crashes {
		return ErrNotRunning
	}
	if l.Inside() {
		f()
		return nil
	}
	ran := make(chan struct{})
	if err := l.Call(func() {
		defer close(ran)
		f()
	}); err != nil {
		return err
	}
	<-ran
	return nil
}

// On runs f on l's goroutine, one of the reactor's, and returns when it has
// returned. Before Run that is the caller's, one caller at a time, and Run waits
// for it. An error says that f does not run: ErrStopped, or [ErrNotRunning] after
// a Crash. Any goroutine; on l's own it calls f.
func (r *Reactor) On(l *Loop, f func()) error { return r.on(l, f) }

// NextLoop returns the loop that the next connection is to live on: on the
// goroutine of a loop that one, else one of the loops in turn.
func (r *Reactor) NextLoop() *Loop { return r.dialer() }

// before runs f if Run has not been called, and reports whether it did.
func (r *Reactor) before(f func()) (did bool) {
	if !r.in(fresh) {
		return false
	}
	r.setup.Do(func() {
		if did = r.in(fresh); did { // still
			f()
		}
	})
	return did
}
