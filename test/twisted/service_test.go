package twisted

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"mobius"
	"mobius/endpoint"
	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// A pupil is a service to an address, and what it has seen.
type pupil struct {
	*endpoint.Service
	s      *scene
	client *plant
	waits  []int // failures at each wait
}

const retryAfter = 10 * time.Millisecond

// service returns a service that waits 10 ms times the failures in a row.
func (s *scene) service(to proactor.Address, o endpoint.ServiceOptions) *pupil {
	p := &pupil{s: s, client: s.plant("client")}
	o.Retry = func(failures int) time.Duration {
		p.waits = append(p.waits, failures)
		return time.Duration(failures) * retryAfter
	}
	p.Service = endpoint.NewService(s.l, s.clientTo(to), p.client, o)
	return p
}

// attempts returns how many attempts have begun.
func (p *pupil) attempts() int {
	n := 0
	for _, e := range p.s.events {
		if e == "client connecting" {
			n++
		}
	}
	return n
}

// stopped stops the service and waits for it.
func (p *pupil) stopped() {
	p.s.Helper()
	if _, err := result(p.s, p.StopService()); err != nil {
		p.s.Errorf("StopService: %v", err)
	}
}

func TestCase417Start(t *testing.T) {
	eachStream(t, func(s *scene) {
		port := s.listen(s.silent("server"))
		p := s.service(port.Addr(), endpoint.ServiceOptions{})
		s.turns(2)
		if p.attempts() != 0 {
			s.Error("it has begun before the start")
		}
		p.StartService()
		p.StartService()
		got, err := result(s, p.WhenConnected(0))
		if err != nil || got != mobius.Protocol(p.client.made[0]) || p.attempts() != 1 {
			s.Errorf("%v, %v after %d attempts", got, err, p.attempts())
		}
		p.StartService()
		s.turns(3)
		if p.attempts() != 1 {
			s.Errorf("%d attempts", p.attempts())
		}
		p.stopped()
		s.stop(port)
	})
}

func TestCase419StartWhileStopping(t *testing.T) {
	eachStream(t, func(s *scene) {
		port := s.listen(s.silent("server"))
		p := s.service(port.Addr(), endpoint.ServiceOptions{})
		p.StartService()
		if _, err := result(s, p.WhenConnected(0)); err != nil {
			s.Fatal(err)
		}
		stop := p.StopService()
		p.StartService()
		again := p.WhenConnected(0)
		s.Until("connected again", func() bool { return done(again) })
		s.expect("client start", "client connecting", "client build", "client made",
			"client lost: done", "client connector lost: done", "client stop", "client start", "client connecting",
			"client build", "client made")
		if !done(stop) {
			s.Error("the stop has not ended, though the connection has")
		}
		if got, err := result(s, again); err != nil || got != mobius.Protocol(p.client.made[1]) {
			s.Errorf("%v, %v", got, err)
		}
		p.stopped()
	})
}

func TestCase420StopWhileRetryingOrConnecting(t *testing.T) {
	each(t, func(s *scene) {
		to := s.deadEnd()
		p := s.service(to, endpoint.ServiceOptions{})
		p.StartService()
		stop := p.StopService() // while connecting
		s.Until("stopped", func() bool { return done(stop) })
		s.await("client stop")
		s.expect("client start", "client connecting", "client failed: aborted", "client stop")
		p.StartService()
		s.Until("waiting", func() bool { return len(p.waits) == 1 })
		s.events = nil
		p.stopped()
		s.Pass(s.l, 5*retryAfter)
		if p.attempts() != 0 {
			s.Errorf("%d attempts after the stop", p.attempts())
		}
	})
}

func TestCase421Retries(t *testing.T) {
	each(t, func(s *scene) {
		server := s.silent("server")
		port := s.listen(server)
		s.stop(port)
		p := s.service(port.Addr(), endpoint.ServiceOptions{})
		begun := s.l.Now()
		p.StartService()
		s.Until("three waits", func() bool { return len(p.waits) == 3 })
		if s.l.Now()-begun < 3*retryAfter {
			s.Errorf("three attempts within %v", s.l.Now()-begun)
		}
		if err := port.Start(); err != nil {
			s.Fatal(err)
		}
		if _, err := result(s, p.WhenConnected(0)); err != nil {
			s.Fatal(err)
		}
		s.Until("accepted", func() bool { return len(server.made) == 1 && server.made[0].t != nil })
		server.made[0].t.LoseConnection()
		s.Until("connected again", func() bool { return len(server.made) == 2 && server.made[1].t != nil })
		if w := p.waits; len(w) < 4 || w[0] != 1 || w[1] != 2 || w[2] != 3 || w[len(w)-1] != 1 {
			s.Errorf("waits after %v failures, want 1 2 3 …, and 1 again after the success", w)
		}
		p.stopped()
		s.stop(port)
	})
}

func TestCase423Waiters(t *testing.T) {
	each(t, func(s *scene) {
		port := s.listen(s.silent("server"))
		s.stop(port)
		p := s.service(port.Addr(), endpoint.ServiceOptions{})
		early, patient := p.WhenConnected(0), p.WhenConnected(0) // before the start: they wait
		one, three := p.WhenConnected(1), p.WhenConnected(3)
		for limit, f := range map[int]*loop.Future[mobius.Protocol]{1: one, 3: three} {
			f.Then(func(_ mobius.Protocol, err error) {
				if !errors.Is(err, syscall.ECONNREFUSED) || p.attempts() != limit || done(early) {
					s.Errorf("after %d attempts, not %d: %v", p.attempts(), limit, err)
				}
			})
		}
		p.StartService()
		s.Until("both have given up", func() bool { return done(one) && done(three) })
		if err := port.Start(); err != nil {
			s.Fatal(err)
		}
		for _, f := range []*loop.Future[mobius.Protocol]{early, patient} {
			if got, err := result(s, f); err != nil || got != mobius.Protocol(p.client.made[0]) {
				s.Errorf("%v, %v", got, err)
			}
		}
		if got, err := result(s, p.WhenConnected(1)); err != nil || got != mobius.Protocol(p.client.made[0]) {
			s.Errorf("connected: %v, %v", got, err)
		}
		s.stop(port)
		p.client.made[0].t.AbortConnection()
		s.Until("waiting", func() bool { return p.client.made[0].lost == 1 })
		late := p.WhenConnected(0)
		p.stopped()
		for _, f := range []*loop.Future[mobius.Protocol]{late, p.WhenConnected(0)} {
			if _, err := result(s, f); !errors.Is(err, loop.ErrCanceled) {
				s.Errorf("stopped: %v", err)
			}
		}
	})
}

func TestCase424Prepare(t *testing.T) {
	each(t, func(s *scene) {
		port := s.listen(s.silent("server"))
		var prepared []*loop.Future[struct{}]
		var p *pupil
		boom := false
		p = s.service(port.Addr(), endpoint.ServiceOptions{Prepare: func(q mobius.Protocol) *mobius.Future[struct{}] {
			if q != mobius.Protocol(p.client.made[len(p.client.made)-1]) || p.client.made[len(p.client.made)-1].t == nil {
				s.Errorf("prepares %v, which is not connected", q)
			}
			if boom {
				panic("boom")
			}
			f := loop.NewFuture[struct{}](s.l)
			prepared = append(prepared, f)
			return f
		}})
		p.StartService()
		waits := p.WhenConnected(0)
		s.Until("preparing", func() bool { return len(prepared) == 1 })
		s.turns(2)
		if done(waits) {
			s.Error("handed out before it was prepared")
		}
		bad := errors.New("wrong password")
		gives := p.WhenConnected(1)
		prepared[0].Complete(struct{}{}, bad)
		if _, err := result(s, gives); !errors.Is(err, bad) {
			s.Errorf("a failed preparation: %v", err)
		}
		s.Until("preparing again", func() bool { return len(prepared) == 2 })
		prepared[1].Complete(struct{}{}, nil)
		if got, err := result(s, waits); err != nil || got != mobius.Protocol(p.client.made[1]) {
			s.Errorf("%v, %v", got, err)
		}
		boom = true
		p.client.made[1].t.AbortConnection()
		s.Until("lost", func() bool { return p.client.made[1].lost == 1 })
		var panicked *transport.PanicError
		if _, err := result(s, p.WhenConnected(1)); !errors.As(err, &panicked) {
			s.Errorf("a panic: %v", err)
		}
		boom = false
		s.Until("preparing once more", func() bool { return len(prepared) == 3 })
		p.stopped() // in the middle of it
		prepared[2].Complete(struct{}{}, nil)
		s.turns(3)
		s.stop(port)
		s.panics(1)
	})
}

func TestCase425Stop(t *testing.T) {
	eachStream(t, func(s *scene) {
		port := s.listen(s.silent("server"))
		p := s.service(port.Addr(), endpoint.ServiceOptions{})
		p.stopped() // not started
		p.StartService()
		if _, err := result(s, p.WhenConnected(0)); err != nil {
			s.Fatal(err)
		}
		first, second := p.StopService(), p.StopService()
		s.turns(1)
		first.Then(func(struct{}, error) { s.note("first") })
		second.Then(func(struct{}, error) { s.note("second") })
		s.await("second")
		if !s.has("first") || p.client.made[0].lost != 1 {
			s.Errorf("%v; lost %d times", s.events, p.client.made[0].lost)
		}
		p.stopped() // already
		s.stop(port)
	})
}

// A service on a loop that stops ends with it.
func TestServiceAtTheEndOfTheLoop(t *testing.T) {
	each(t, func(s *scene) {
		port := s.listen(s.silent("server"))
		p := s.service(port.Addr(), endpoint.ServiceOptions{})
		p.StartService()
		if _, err := result(s, p.WhenConnected(0)); err != nil {
			s.Fatal(err)
		}
		s.l.Shutdown(time.Minute)
		s.Until("nobody is left", func() bool { return s.l.Members() == 0 })
		s.turns(2)
		if p.attempts() != 1 || p.client.made[0].lost != 1 {
			s.Errorf("%d attempts, lost %d times", p.attempts(), p.client.made[0].lost)
		}
	})
}
