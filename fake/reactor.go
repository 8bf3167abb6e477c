package fake

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mobius"
	"mobius/proactor"
	"mobius/sim"
)

// A Reactor is a mobius.Reactor on a simulated network, driven by the test: it
// notes where it listens, connects and binds. The code under test gets the
// *mobius.Reactor in it, which is a real one: what listens can be connected to,
// by the same reactor or by another one on the same network. (Twisted:
// MemoryReactorClock; Fail makes it a RaisingMemoryReactor.)
type Reactor struct {
	*mobius.Reactor

	// Net is the network, for its clock, its files and its children.
	Net *sim.Net

	// Fail, if not nil, is asked before each call: an error that it returns is
	// the answer, instead of a socket.
	Fail func(c Call) error

	calls    []Call
	troubles troubles
}

// A CallKind says what a reactor did.
type CallKind uint8

// The kinds of call.
const (
	Listened  CallKind = iota // for stream connections
	Connected                 // or tried to
	Bound                     // a datagram socket
)

// String returns the kind in lower case.
func (k CallKind) String() string { return [...]string{"listened", "connected", "bound"}[k%3] }

// A Call is something that a reactor did: one attempt, if it tries several
// addresses.
type Call struct {
	Kind    CallKind
	Addr    mobius.Address       // at which, or to which, as it was asked for
	Options mobius.SocketOptions // as they were asked for
	At      time.Duration        // the virtual time
}

// mostTurns is how many turns an Advance makes at most once its time has come.
const mostTurns = 1000

// flushStep is for how long nothing must move for all to have come to rest. It
// is long for a network without faults: 50 µs one way.
const flushStep = time.Millisecond

// flushSteps is how often a Flush looks.
const flushSteps = 2000

// NewReactor returns a reactor on net, or on a network of its own on which
// nothing goes wrong if net is nil. It has one loop, and its backend is its
// own: o.Loops, o.Open and o.Backend must be left alone. It need not be closed.
func NewReactor(net *sim.Net, o mobius.Options) (*Reactor, error) {
	if o.Open != nil || o.Backend != "" || o.Loops > 1 {
		return nil, errors.New("fake: leave Loops, Open and Backend of the options alone: a fake reactor has one loop, simulated")
	}
	if net == nil {
		net = sim.New(sim.Options{Faults: sim.NoFaults})
	}
	r := &Reactor{Net: net}
	o.Open = func(int) (proactor.Backend, error) {
		b, err := net.Open()
		return &noter{Backend: b, r: r}, err
	}
	next := slog.DiscardHandler
	if o.Logger != nil {
		next = o.Logger.Handler()
	}
	o.Logger = slog.New(&watcher{Handler: next, to: &r.troubles})
	var err error
	r.Reactor, err = mobius.New(o)
	return r, err
}

// Clock returns the reactor's clock.
func (r *Reactor) Clock() *Clock { return &Clock{r} }

// Calls returns what the reactor has done so far, all of it or of these kinds,
// in order.
func (r *Reactor) Calls(kinds ...CallKind) []Call {
	var out []Call
	for _, c := range r.calls {
		wanted := len(kinds) == 0
		for _, k := range kinds {
			wanted = wanted || c.Kind == k
		}
		if wanted {
			out = append(out, c)
		}
	}
	return out
}

// note notes a call, and returns Fail's answer to it.
func (r *Reactor) note(k CallKind, a mobius.Address, o *mobius.SocketOptions) error {
	c := Call{Kind: k, Addr: a, At: r.Net.Now()}
	if o != nil {
		c.Options = *o
	}
	r.calls = append(r.calls, c)
	if r.Fail != nil {
		return r.Fail(c)
	}
	return nil
}

// Advance runs the reactor for d of virtual time: what is due meanwhile, on the
// network and by the clock, happens at its time, in order. A call for now that
// asks for another one again and again gets 1,000 of them. d of 0 does what is
// due at present.
//
// It returns panics of the program's callbacks meanwhile, whatever else the
// reactor has to report, and mobius.ErrStopped once it has stopped.
func (r *Reactor) Advance(d time.Duration) error {
	target := r.Net.Now() + max(d, 0)
	for left := d; left > 0; left = target - r.Net.Now() {
		if err := r.Iterate(left); err != nil {
			return errors.Join(err, r.troubles.take())
		}
	}
	for range mostTurns {
		if err := r.Iterate(0); err != nil {
			return errors.Join(err, r.troubles.take())
		}
		if timers := r.Loops()[0].Armed(); len(timers) == 0 || timers[0].Deadline() > r.Net.Now() {
			break
		}
	}
	return r.troubles.take()
}

// Until advances until done reports true, which it asks between turns, but no
// longer than limit: that it was not then is an error, as those of Advance are.
func (r *Reactor) Until(limit time.Duration, done func() bool) error {
	end := r.Net.Now() + limit
	for !done() {
		left := end - r.Net.Now()
		if left <= 0 {
			return errors.Join(fmt.Errorf("fake: not done after %v of virtual time", limit), r.troubles.take())
		}
		for _, wait := range [...]time.Duration{0, 0, left} { // what is due may be done in a turn that would then wait
			if err := r.Iterate(wait); err != nil {
				return errors.Join(err, r.troubles.take())
			}
			if done() {
				break
			}
		}
	}
	return r.troubles.take()
}

// Flush advances until the network has come to rest: nothing has moved on it
// for a millisecond. What waits for a longer time, a protocol's timeout for
// example, is not waited for. The errors are Advance's, and that it has not come
// to rest in 2 s of virtual time.
func (r *Reactor) Flush() error {
	for range flushSteps {
		before := r.Loops()[0].Backend().Stats().Completed
		if err := r.Advance(flushStep); err != nil {
			return err
		}
		if r.Loops()[0].Backend().Stats().Completed == before {
			return nil
		}
	}
	return fmt.Errorf("fake: something still moves after %v of virtual time", flushSteps*flushStep)
}

// A noter is a simulated backend that tells a Reactor what it is asked for.
type noter struct {
	*sim.Backend
	r *Reactor
}

// Listen notes, and listens.
func (n *noter) Listen(a proactor.Address, o *proactor.SocketOptions) (proactor.Handle, proactor.Address, error) {
	if err := n.r.note(Listened, a, o); err != nil {
		return 0, a, err
	}
	return n.Backend.Listen(a, o)
}

// Stream notes, and returns a socket that is about to connect.
func (n *noter) Stream(a proactor.Address, o *proactor.SocketOptions) (proactor.Handle, error) {
	if err := n.r.note(Connected, a, o); err != nil {
		return 0, err
	}
	return n.Backend.Stream(a, o)
}

// Packet notes, and binds.
func (n *noter) Packet(a proactor.Address, o *proactor.SocketOptions) (proactor.Handle, proactor.Address, error) {
	if err := n.r.note(Bound, a, o); err != nil {
		return 0, a, err
	}
	return n.Backend.Packet(a, o)
}
