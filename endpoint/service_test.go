package endpoint

import (
	"testing"
	"time"

	"mobius"
	"mobius/connector"
	"mobius/loop"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

// A desk is a reactor of one loop of a world.
type desk struct{ l *loop.Loop }

func (d desk) Connect(to mobius.Destination, f mobius.ClientFactory, o mobius.ConnectOptions) (*mobius.Connector, error) {
	return connector.Connect(d.l, to, f, o), nil
}

func (d desk) Listen(addr mobius.Address, f mobius.Factory, o mobius.ListenOptions) (*mobius.Port, error) {
	return connector.Listen([]*loop.Loop{d.l}, addr, f, o)
}

func (d desk) Loops() []*mobius.Loop { return []*mobius.Loop{d.l} }

// one is a protocol that counts itself.
type one struct {
	n    *int
	seed uint64
	t    mobius.Transport
}

func (p *one) ConnectionMade(t transport.Transport) {
	*p.n++
	p.t = t
	if p.seed%5 == 0 {
		t.LoseConnection()
	}
}
func (p *one) DataReceived([]byte)  {}
func (p *one) ConnectionLost(error) { *p.n-- }

// On bad networks, started and stopped at any time, a service has at most one
// connection, a stop always comes to its end, and nothing is left over.
func TestServiceOnBadNetworks(t *testing.T) {
	handed, gaveUp := 0, 0
	backends.Seeds(t, 300, sim.Options{}, func(w *backends.World, seed uint64) {
		l := w.Loop()
		live, served := 0, 0
		port, err := desk{l}.Listen(w.Address(), mobius.FactoryFunc(func(mobius.Address) mobius.Protocol {
			return &one{n: &served, seed: seed + uint64(served)}
		}), mobius.ListenOptions{})
		if err != nil {
			return // EMFILE
		}
		c := TCPClient{Reactor: desk{l}, Host: "127.0.0.1", Port: port.Addr().Port()}
		c.Options.ConnectTimeout = 10 * time.Second
		f := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol {
			if live > 0 {
				t.Errorf("seed %d: a second connection", seed)
			}
			return &one{n: &live, seed: 1}
		})
		s := NewService(l, c, f, ServiceOptions{Prepare: func(mobius.Protocol) *mobius.Future[struct{}] {
			done := loop.NewFuture[struct{}](l)
			if seed%3 > 0 {
				l.Start(&loop.Timer{Func: func() { done.Complete(struct{}{}, nil) }}, time.Second)
				return done
			}
			return nil
		}})
		for i := range uint64(6) {
			s.StartService()
			wait := s.WhenConnected(2)
			Then(wait, func(_ mobius.Protocol, err error) {
				if err == nil {
					handed++
				} else {
					gaveUp++
				}
			})
			w.Pass(l, time.Duration((seed+i)%17)*200*time.Millisecond)
			stop := s.StopService()
			if i%2 == 0 {
				w.Until("stopped", func() bool { return done(stop) })
				if live > 0 {
					t.Errorf("seed %d: stopped with a connection", seed)
				}
			}
			if i == 3 {
				s.StartService() // before it has ended
			}
		}
		stop := s.StopService()
		w.Until("stopped", func() bool { return done(stop) })
		port.AbortConnections()
		drained := port.Drain()
		w.Until("drained", func() bool { return done(drained) })
		if live != 0 || served != 0 || len(s.waiters) != 0 {
			t.Errorf("seed %d: %d and %d connections, %d who wait are left", seed, live, served, len(s.waiters))
		}
		w.TakeTroubles()
	})
	if handed == 0 || gaveUp == 0 {
		t.Errorf("%d handed out, %d gave up: too easy", handed, gaveUp)
	}
}

func done[T any](f *loop.Future[T]) bool {
	select {
	case <-f.Done():
		return true
	default:
		return false
	}
}
