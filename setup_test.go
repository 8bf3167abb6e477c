package mobius

import (
	"context"
	"sync"
	"testing"
	"time"

	"mobius/connector"
)

// A nesting factory listens and connects when it is started.
type nesting struct {
	Factory
	start func()
}

func (n *nesting) DoStart() { n.start() }
func (n *nesting) DoStop()  {}

// Goroutines that listen, connect and delay calls before Run do not race with
// each other, nor with Run; a factory that does so when it is started gets
// what it asks for.
func TestSetupsRace(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r, err := New(Options{Backend: name, Loops: 2})
		if err != nil {
			t.Fatal(err)
		}
		const each = 8
		s, answers, called := newServer(), make(chan string, 2*each+1), make(chan struct{}, each)
		connect := func(to *Port) {
			if _, err := r.ConnectTCP(to.Addr().String(), Client{Factory: asker("x", answers)}); err != nil {
				t.Error(err)
			}
		}
		first, err := r.ListenTCP("127.0.0.1:0", s)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range each {
			all.Go(func() { connect(first) })
			all.Go(func() {
				port, err := r.ListenTCP("127.0.0.1:0", &nesting{s, func() { connect(first) }})
				if err != nil {
					t.Error(err)
					return
				}
				_ = port.Addr()
			})
			all.Go(func() { r.CallLater(time.Millisecond, func() { called <- struct{}{} }) })
		}
		all.Wait()
		ran := make(chan error, 1)
		all.Go(func() { connect(first) }) // races with Run
		go func() { ran <- r.Run(context.Background()) }()
		for range 2*each + 1 {
			wait(t, answers)
		}
		for range each {
			wait(t, called)
		}
		all.Wait()
		r.Stop()
		if err := wait(t, ran); err != nil {
			t.Error(err)
		}
	})
}

var _ connector.Starter = (*nesting)(nil)
