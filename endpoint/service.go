package endpoint

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"mobius"
	"mobius/connector"
	"mobius/loop"
	"mobius/transport"
)

// ServiceOptions configure a [Service]. The zero value is the default of every
// field.
type ServiceOptions struct {
	// Retry says how long to wait after so many failures in a row, counted from
	// 1; a connection that is lost counts as the first. Default: Backoff.
	Retry func(failures int) time.Duration

	// Backoff is how long to wait if Retry is nil; default 1 s to 60 s, each
	// wait 1.5 times the one before, with a jitter of a fifth.
	Backoff connector.Backoff

	// Prepare, if not nil, is called with each new protocol after its
	// ConnectionMade, to log in for example. Those who wait get the protocol
	// once the future that it returns is completed; nil means at once. A future
	// that fails, or a panic, counts as a failed attempt: the connection is
	// closed.
	Prepare func(p mobius.Protocol) *mobius.Future[struct{}]
}

// A Service keeps one connection to a Client for as long as it runs: lost, or
// not to be had, it is made again after a wait. Twisted's ClientService.
//
// Its methods may be called from any goroutine; what they do they do on the
// service's loop, and to the futures that they return what is said there of
// futures applies.
type Service struct {
	l *mobius.Loop
	c Client
	f mobius.Factory
	o ServiceOptions

	state    serviceState
	started  bool // StartService was called since the last StopService, or neither was
	failures int  // in a row
	timer    loop.Timer
	random   func() float64
	attempt  *mobius.Future[mobius.Protocol]
	kept     *kept // the connection, once it is made
	waiters  []waiter
	stops    []*mobius.Future[struct{}]
}

// A serviceState is where a Service is.
//
//	         StartService              made              Prepare is done
//	stopped ─────────────▶ connecting ──────▶ preparing ────────────────▶ connected
//	   ▲                    ▲   │ failed          │ failed, lost           │ lost
//	   │ StopService        │   ▼                 ▼                        ▼
//	   ├──────────────── waiting ◀──────────────────────────────────────────
//	   │
//	   │                    StopService
//	   └─ ended ─ ending ◀──────────── connecting, preparing, connected
//	                │  ▲
//	   StartService ▼  │ StopService
//	              restarting ─ended─▶ connecting
type serviceState uint8

const (
	stopped    serviceState = iota
	connecting              // the client was asked
	preparing               // Prepare is under way
	connected               // those who wait have got it
	waiting                 // for the next attempt
	ending                  // the attempt or the connection was told to end
	restarting              // the same, and then begin anew
)

// A waiter is somebody who wants a connection.
type waiter struct {
	future *mobius.Future[mobius.Protocol]
	limit  int // failures after which to give up; 0: never
}

// NewService returns a service on l that does not run yet. f builds the
// protocols.
func NewService(l *mobius.Loop, c Client, f mobius.Factory, o ServiceOptions) *Service {
	if o.Backoff.Factor == 0 {
		o.Backoff.Factor = 1.5
	}
	s := &Service{l: l, c: c, f: f, o: o, started: true}
	s.timer.Owner = (*serviceTimer)(s)
	return s
}

// Loop returns the loop that the service lives on.
func (s *Service) Loop() *mobius.Loop { return s.l }

// StartService begins to connect. One that runs goes on; one that is being
// stopped begins anew once its connection has ended.
func (s *Service) StartService() {
	on(s.l, func() {
		s.started = true
		switch s.state {
		case stopped:
			s.connect()
		case ending:
			s.state = restarting
		}
	})
}

// StopService ends the wait, the attempt or the connection, which is closed in
// good order, and completes the future once it has ended. Who waits for a
// connection gets loop.ErrCanceled.
func (s *Service) StopService() *mobius.Future[struct{}] {
	done := loop.NewFuture[struct{}](s.l)
	on(s.l, func() {
		s.started = false
		s.stops = append(s.stops, done)
		s.giveUp(loop.ErrCanceled)
		switch s.state {
		case stopped:
			s.stop()
		case waiting:
			s.timer.Stop()
			s.stop()
		case connecting:
			s.state = ending
			s.attempt.Cancel()
		case preparing, connected:
			s.state = ending
			s.kept.lose()
		case restarting:
			s.state = ending
		}
	})
	return done
}

// WhenConnected returns the protocol of the connection, once there is one and
// Prepare is done with it. With failAfter > 0 it gives up with the last error
// after so many failed attempts from now on. On a service that was stopped it
// fails with loop.ErrCanceled; on one that was not started yet it waits.
func (s *Service) WhenConnected(failAfter int) *mobius.Future[mobius.Protocol] {
	w := waiter{loop.NewFuture[mobius.Protocol](s.l), failAfter}
	on(s.l, func() {
		switch {
		case s.state == connected && !s.kept.lost:
			w.future.Complete(s.kept.Protocol, nil)
		case !s.started:
			w.future.Complete(nil, loop.ErrCanceled)
		default:
			s.waiters = append(s.waiters, w)
		}
	})
	return w.future
}

// giveUp fails everybody who waits.
func (s *Service) giveUp(err error) {
	waiters := s.waiters
	s.waiters = nil
	for _, w := range waiters {
		w.future.Complete(nil, err)
	}
}

// stop is the end of a stop.
func (s *Service) stop() {
	s.state, s.failures = stopped, 0
	stops := s.stops
	s.stops = nil
	for _, done := range stops {
		done.Complete(struct{}{}, nil)
	}
}

// connect begins an attempt.
func (s *Service) connect() {
	s.state, s.kept = connecting, nil
	attempt := s.c.Connect(context.Background(), serviceFactory{s.f, s})
	s.attempt = attempt
	Then(attempt, func(p mobius.Protocol, err error) {
		on(s.l, func() { s.attempted(p, err) })
	})
}

// attempted takes the result of an attempt.
func (s *Service) attempted(p mobius.Protocol, err error) {
	s.attempt = nil
	if err != nil {
		s.failed(err)
		return
	}
	k, ok := mobius.As[*kept](p)
	if !ok {
		s.failed(fmt.Errorf("endpoint %v: Connect answers with a %T, not with what the factory has built", s.c, p))
		return
	}
	s.kept = k
	switch {
	case k.lost:
		s.failed(k.why)
	case s.state != connecting: // stopped, and it was made nonetheless
		k.lose()
	default:
		s.prepare()
	}
}

// failed takes note that an attempt has failed, or that the connection that it
// has made is no more.
func (s *Service) failed(err error) {
	s.kept = nil
	switch {
	case s.state == ending:
		s.stop()
		return
	case s.state == restarting:
		s.failures = 0
		s.connectAnew()
		return
	case s.state != connected:
		s.count(err)
	}
	s.failures++
	if s.l.Ending() {
		s.giveUp(loop.ErrStopped)
		s.stop()
		return
	}
	s.state = waiting
	s.l.Start(&s.timer, s.wait())
}

// connectAnew begins again after a stop that was overtaken by a start.
func (s *Service) connectAnew() {
	stops := s.stops
	s.stops = nil
	for _, done := range stops {
		done.Complete(struct{}{}, nil)
	}
	s.connect()
}

// count tells those who wait of a failure, and fails whom it is enough.
func (s *Service) count(err error) {
	var left []waiter
	for _, w := range s.waiters {
		if w.limit == 1 {
			w.future.Complete(nil, err)
			continue
		}
		if w.limit > 1 {
			w.limit--
		}
		left = append(left, w)
	}
	s.waiters = left
}

func (s *Service) wait() time.Duration {
	if s.o.Retry != nil {
		return s.o.Retry(s.failures)
	}
	if s.random == nil {
		s.random = rand.New(rand.NewPCG(uint64(s.l.Now()), 1)).Float64
	}
	return s.o.Backoff.Wait(s.failures, s.random)
}

// prepare makes a new connection ready for those who wait.
func (s *Service) prepare() {
	s.state = preparing
	if s.o.Prepare == nil {
		s.ready()
		return
	}
	k := s.kept
	var done *mobius.Future[struct{}]
	if err := s.guard(func() { done = s.o.Prepare(k.Protocol) }); err != nil {
		s.unprepared(k, err)
		return
	}
	if done == nil {
		s.ready()
		return
	}
	Then(done, func(_ struct{}, err error) {
		on(s.l, func() {
			switch {
			case s.kept != k || s.state != preparing: // overtaken
			case err != nil:
				s.unprepared(k, err)
			default:
				s.ready()
			}
		})
	})
}

// unprepared closes a connection of which Prepare has failed. Its end is the
// failure.
func (s *Service) unprepared(k *kept, err error) {
	k.unfit = err
	k.lose()
}

// guard calls a callback. What it panics with is reported, and returned.
func (s *Service) guard(callback func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.l.Report(loop.Trouble{Kind: loop.Panicked, Value: v, Stack: debug.Stack()})
			err = &transport.PanicError{Value: v}
		}
	}()
	callback()
	return nil
}

// ready hands the connection out.
func (s *Service) ready() {
	s.state, s.failures = connected, 0
	waiters := s.waiters
	s.waiters = nil
	for _, w := range waiters {
		w.future.Complete(s.kept.Protocol, nil)
	}
}

// lost takes the end of a connection.
func (s *Service) lost(k *kept) {
	if s.kept == k { // else the attempt has not been told yet
		s.failed(k.why)
	}
}

// serviceTimer is a Service as its timer sees it.
type serviceTimer Service

// Expire ends the wait for the next attempt.
func (t *serviceTimer) Expire(*loop.Timer) { (*Service)(t).connect() }

// A serviceFactory builds protocols that a service keeps.
type serviceFactory struct {
	mobius.Factory
	s *Service
}

// BuildProtocol puts a kept around what the factory builds.
func (f serviceFactory) BuildProtocol(peer mobius.Address) mobius.Protocol {
	p := f.Factory.BuildProtocol(peer)
	if p == nil {
		return nil
	}
	return &kept{Protocol: p, s: f.s}
}

// Unwrap returns the factory, for mobius.As.
func (f serviceFactory) Unwrap() any { return f.Factory }

// A kept is a protocol of a service's, as its connection sees it.
type kept struct {
	mobius.Protocol
	s     *Service
	t     mobius.Transport
	lost  bool
	why   error
	unfit error // why Prepare has failed
	flush loop.Flush
}

// ConnectionMade passes on.
func (k *kept) ConnectionMade(t transport.Transport) {
	k.t = t
	k.Protocol.ConnectionMade(t)
}

// ConnectionLost tells the protocol, and the service once the factory was told
// as well.
func (k *kept) ConnectionLost(err error) {
	defer on(k.s.l, func() {
		k.lost, k.why = true, err
		if k.unfit != nil {
			k.why = k.unfit
		}
		k.flush.Owner = k
		k.s.l.AtTurnEnd(&k.flush)
	})
	k.Protocol.ConnectionLost(err)
}

// Flush tells the service of the loss.
func (k *kept) Flush() { k.s.lost(k) }

// lose closes the connection in good order.
func (k *kept) lose() { on(k.t.Loop(), k.t.LoseConnection) }

// Unwrap returns the protocol, for mobius.As.
func (k *kept) Unwrap() any { return k.Protocol }
