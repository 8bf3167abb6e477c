package mobius

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"mobius/connector"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
)

// A phoneBook is a resolver that knows everybody, at once.
type phoneBook struct{ asked []string }

func (b *phoneBook) Resolve(l *loop.Loop, host string, done func([]netip.Addr, error)) func() {
	b.asked = append(b.asked, host)
	l.Start(&loop.Timer{Func: func() { done([]netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil) }}, 0)
	return func() {}
}

// What is installed looks names up from then on, and who installs gets back
// what did before.
func TestInstallResolver(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name})
		book := &phoneBook{}
		if before := r.InstallResolver(book); before != (SystemResolver{}) {
			t.Errorf("before: %T", before)
		}
		if r.Resolver() != Resolver(book) {
			t.Errorf("now: %T", r.Resolver())
		}
		answer, err := r.LookupHost("bücher.example")
		if err != nil {
			t.Fatal(err)
		}
		all, err := answer.Wait(t.Context())
		if err != nil || len(all) != 1 || book.asked[0] != "xn--bcher-kva.example" {
			t.Errorf("%v, %v; asked %q", all, err, book.asked)
		}
		nobody := FactoryFunc(func(Address) Protocol { return nil })
		p, err := r.ListenTCP("127.0.0.1:0", nobody)
		if err != nil {
			t.Fatal(err)
		}
		to, err := connector.ParseDestination("tcp", "anybody:"+p.Addr().String()[len("127.0.0.1:"):])
		if err != nil {
			t.Fatal(err)
		}
		made := make(chan struct{})
		if _, err := r.Connect(to, Client{Factory: FactoryFunc(func(Address) Protocol {
			close(made)
			return nil
		})}, ConnectOptions{}); err != nil {
			t.Fatal(err)
		}
		<-made
		if r.InstallResolver(nil) != Resolver(book) || r.Resolver() != Resolver(SystemResolver{}) {
			t.Errorf("nil is not the default")
		}
	})
}

func TestLookupHost(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name, Loops: 2})
		for host, want := range map[string]string{"127.0.0.1": "127.0.0.1", "fe80::1%lo": "fe80::1%lo", "localhost": ""} {
			answer, err := r.LookupHost(host)
			if err != nil {
				t.Fatal(err)
			}
			all, err := answer.Wait(t.Context())
			if err != nil || len(all) == 0 || want != "" && all[0].String() != want {
				t.Errorf("%s is %v, %v", host, all, err)
			}
		}
		answer, err := r.LookupHost("a..b")
		if err != nil {
			t.Fatal(err)
		}
		if all, err := answer.Wait(t.Context()); err == nil {
			t.Errorf("a..b is %v", all)
		}
	})
}

// A lookup can be given up, also before the reactor runs.
func TestLookupHostCancelled(t *testing.T) {
	net := sim.New(sim.Options{Seed: 1, Faults: sim.NoFaults})
	b, err := net.Open()
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Options{Open: func(int) (proactor.Backend, error) { return b, nil }})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := r.LookupHost("localhost")
	if err != nil {
		t.Fatal(err)
	}
	answer.Then(func([]netip.Addr, error) { r.Stop() })
	answer.Cancel()
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := answer.Wait(context.Background()); !errors.Is(err, loop.ErrCanceled) {
		t.Errorf("a lookup that was given up: %v", err)
	}
	if err := net.Leaks(); err != nil {
		t.Error(err)
	}
}
