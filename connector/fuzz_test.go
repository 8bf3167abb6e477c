package connector

import (
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/sim"
	"mobius/test/backends"
)

// A riot is one run of the fuzz test: a port on some loops, clients on
// another, and somebody who does at random what users do.
type riot struct {
	*backends.World
	rnd     *rand.Rand
	servers []*loop.Loop
	clients *loop.Loop
	host    *host
	port    *Port
	audits  []*audit
	steps   int
}

// Whatever users do and whatever goes wrong, each attempt and each connection
// is accounted for exactly once, and nothing is left over.
func TestRiots(t *testing.T) {
	total := [4]int{} // attempts, failures, losses, server connections
	backends.Seeds(t, 400, sim.Options{}, func(w *backends.World, seed uint64) {
		r := riots(w, seed)
		if r == nil {
			return
		}
		for _, a := range r.audits {
			total[0] += a.attempts
			total[1] += a.failed
			total[2] += a.lost
		}
		total[3] += r.host.total
	})
	t.Logf("%d attempts, %d failed, %d connections lost; %d at the server", total[0], total[1], total[2], total[3])
	if total[0] > 1000 && (total[1] == 0 || total[2] == 0 || total[3] == 0) {
		t.Error("the riots were too peaceful")
	}
}

// One seed is one run, to the last event.
func TestRiotsCanBeReplayed(t *testing.T) {
	for seed := uint64(1); seed <= 30; seed++ {
		var hashes [2]uint64
		for i := range hashes {
			t.Run("", func(t *testing.T) {
				w := backends.Simulate(t, sim.Options{Seed: seed})
				riots(w, seed)
				hashes[i] = w.Net.TraceHash()
			})
		}
		if hashes[0] != hashes[1] {
			t.Fatalf("seed %d: traces %x and %x", seed, hashes[0], hashes[1])
		}
	}
}

// riots runs one riot to its end. It returns nil if it could not begin.
func riots(w *backends.World, seed uint64) *riot {
	r := newRiot(w, seed)
	if r == nil {
		return nil
	}
	for ; r.steps > 0; r.steps-- {
		w.Pass(r.clients, time.Duration(r.rnd.IntN(500))*time.Millisecond)
		r.step()
	}
	r.end()
	return r
}

func newRiot(w *backends.World, seed uint64) *riot {
	r := &riot{World: w, rnd: rand.New(rand.NewPCG(seed, 7)), steps: 40}
	for range 1 + r.rnd.IntN(3) {
		r.servers = append(r.servers, w.LoopWith(loop.Options{Calls: 1 + r.rnd.IntN(20)}))
	}
	r.clients = w.Loop()
	r.host = &host{TB: w.TB, rnd: r.rnd, open: true}
	r.host.OnStart = func() {}
	var err error
	r.port, err = Listen(r.servers, w.Address(), r.host, ListenOptions{ReusePort: r.rnd.IntN(2) == 0})
	if err != nil {
		if !errors.Is(err, syscall.EMFILE) {
			w.Error(err)
		}
		return nil
	}
	for range 1 + r.rnd.IntN(5) {
		r.client()
	}
	return r
}

func (r *riot) client() {
	a := &audit{TB: r.TB, rnd: r.rnd}
	r.audits = append(r.audits, a)
	var f ClientFactory = a
	if r.rnd.IntN(2) == 0 {
		f = &Reconnecting{Factory: a, Initial: 1 << r.rnd.IntN(34), MaxRetries: r.rnd.IntN(10)}
	}
	to := To(r.port.Addr())
	if r.rnd.IntN(2) == 0 {
		to = Destination{host: "localhost", port: r.port.Addr().Port()}
	}
	Connect(r.clients, to, f, Options{ConnectTimeout: time.Duration(r.rnd.IntN(3)) * 5 * time.Second})
}

// step does something to the port, or to a client.
func (r *riot) step() {
	a := r.audits[r.rnd.IntN(len(r.audits))]
	switch r.rnd.IntN(16) {
	case 0:
		r.stop(func() *loop.Future[struct{}] { return r.port.StopListening() })
	case 1:
		r.stop(func() *loop.Future[struct{}] { return r.port.Drain() })
	case 2, 3, 4:
		r.start()
	case 5:
		r.port.AbortConnections()
	case 6:
		if len(r.audits) < 12 {
			r.client()
		}
	case 7:
		if a.c != nil {
			a.c.Disconnect()
		}
	case 8:
		if a.c != nil {
			_ = a.c.StopConnecting()
		}
	case 9, 10, 11, 12:
		if a.c != nil {
			_ = a.c.Connect()
		}
	}
}

// stop stops the port. From then on its own loop builds no protocol, and none
// does once the future is completed.
func (r *riot) stop(how func() *loop.Future[struct{}]) {
	f := how()
	if len(r.servers) == 1 {
		r.host.open = false
	}
	f.Then(func(struct{}, error) {
		if !r.port.Listening() {
			r.host.open = false
		}
	})
}

func (r *riot) start() {
	before := r.host.open
	r.host.open = true
	switch err := r.port.Start(); {
	case err == nil:
	case errors.Is(err, ErrNotIdle), errors.Is(err, syscall.EMFILE):
		r.host.open = before
	default:
		r.Error(err)
	}
}

// end ends everything, in one of several ways.
func (r *riot) end() {
	all := append([]*loop.Loop{r.clients}, r.servers...)
	r.rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	switch r.rnd.IntN(3) {
	case 0: // the loops stop, in any order
		for _, l := range all {
			l.Stop()
			r.Until("the loop has stopped", func() bool { return l.Err() != nil })
		}
	case 1: // the loops shut down
		for _, l := range all {
			l.Shutdown(time.Duration(r.rnd.IntN(60)) * time.Second)
		}
	case 2: // the port drains, once the clients are gone
		drained := r.port.Drain()
		r.clients.Stop()
		r.port.AbortConnections()
		r.Until("the port is drained", func() bool { return done(drained) })
		for _, l := range r.servers {
			l.Stop()
		}
	}
	for _, l := range all {
		r.Until("the loop has stopped", func() bool { return l.Err() != nil })
	}
	r.judge()
}

func (r *riot) judge() {
	wanton(r.TB, r.TakeTroubles())
	for i, a := range r.audits {
		if a.at != resting || a.users != 0 || a.attempts != a.failed+a.lost {
			r.Errorf("client %d is at step %d with %d users: %d attempts, %d failed, %d lost",
				i, a.at, a.users, a.attempts, a.failed, a.lost)
		}
	}
	if r.port.Conns() != 0 || r.host.live != 0 || r.host.Users() != 0 || r.port.Listening() {
		r.Errorf("left: %d connections counted, %d protocols, %d users, listening %v",
			r.port.Conns(), r.host.live, r.host.Users(), r.port.Listening())
	}
}
