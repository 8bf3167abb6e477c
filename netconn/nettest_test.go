package netconn

import (
	"log/slog"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/net/nettest"

	"mobius"
	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/test/backends"
)

// everyBackend runs f on a running reactor of every real backend, also with
// tiny limits.
func everyBackend(t *testing.T, f func(t *testing.T, r *mobius.Reactor)) {
	onEach(t, append(backends.All(), tiny()...), f)
}

// everyRealBackend is everyBackend without the tiny limits.
func everyRealBackend(t *testing.T, f func(t *testing.T, r *mobius.Reactor)) {
	onEach(t, backends.All(), f)
}

func onEach(t *testing.T, of []backends.Backend, f func(t *testing.T, r *mobius.Reactor)) {
	for _, b := range of {
		t.Run(b.Name+" "+b.Limits, func(t *testing.T) {
			testenv.Leaks(t)
			f(t, running(t, b, 1).Reactor)
		})
	}
}

// running returns a reactor that runs until the test's end, and must then have
// no handle or hold left.
func running(t testing.TB, b backends.Backend, loops int) *Runner {
	t.Helper()
	o := mobius.Options{Loops: loops, Logger: slog.New(slog.DiscardHandler)}
	o.Open = func(int) (proactor.Backend, error) { return b.Open() }
	r, err := Start(o)
	if err != nil {
		testenv.Missing(t, "%s: %v", b.Name, err)
	}
	if r.Backend().Name != b.Name {
		t.Fatalf("the backend is %s, want %s", r.Backend().Name, b.Name)
	}
	t.Cleanup(func() {
		for _, l := range r.Loops() {
			var s proactor.Stats
			var members int
			clean := func() bool {
				if err := r.On(l, func() { s, members = l.Backend().Stats(), l.Members() }); err != nil {
					t.Fatal(err)
				}
				return s.Handles == 0 && s.Holds == 0 && members == 0
			}
			if !testenv.Becomes(testenv.Patience(), clean) {
				t.Errorf("left at the end: %d handles, %d holds, %d members", s.Handles, s.Holds, members)
			}
		}
		if err := r.Close(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

// connected returns the two ends of a connection.
func connected(r *mobius.Reactor, network, address string) (client, server net.Conn, err error) {
	n, err := Listen(r, network, address)
	if err != nil {
		return nil, nil, err
	}
	defer n.Close()
	if client, err = Dial(r, network, n.Addr().String()); err != nil {
		return nil, nil, err
	}
	if server, err = n.Accept(); err != nil {
		client.Close()
		return nil, nil, err
	}
	return client, server, nil
}

func piped(client, server net.Conn, err error) (net.Conn, net.Conn, func(), error) {
	if err != nil {
		return nil, nil, nil, err
	}
	return client, server, func() { client.Close(); server.Close() }, nil
}

func TestNettestTCP(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
			return piped(connected(r, "tcp", "127.0.0.1:0"))
		})
	})
}

func TestNettestUNIX(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		at := filepath.Join(t.TempDir(), "s")
		nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
			return piped(connected(r, "unix", at))
		})
	})
}
