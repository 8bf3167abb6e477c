package transport

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
)

// A world is a loop with both ends of some connections on it.
type world struct {
	t        testing.TB
	net      *sim.Net // nil on real backends
	l        *loop.Loop
	ln       *Listener
	accepted []accepted
	troubles []loop.Trouble
	limit    time.Duration // of one poll
	end      time.Time     // real backends: when the test fails
	recs     []*rec
}

type accepted struct {
	h    proactor.Handle
	peer proactor.Address
}

var (
	tcpAny  = proactor.IPAddress(proactor.TCP, netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	onePath = proactor.UnixAddress("@transport-test")
)

// quiet is a simulated network on which nothing goes wrong.
func quiet(seed uint64) sim.Options { return sim.Options{Seed: seed, Faults: sim.NoFaults} }

func newWorld(t testing.TB, o sim.Options) *world {
	t.Helper()
	net := sim.New(o)
	b, err := net.Open()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldOn(t, b)
	w.net, w.limit = net, time.Minute
	return w
}

// each runs f in a quiet simulated world and in one on each real backend.
func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Run("sim", func(t *testing.T) { f(t, newWorld(t, quiet(1))) })
	for _, b := range backends.Real() {
		t.Run(b.Name, func(t *testing.T) {
			testenv.Leaks(t)
			runtime.LockOSThread()
			t.Cleanup(runtime.UnlockOSThread)
			backend, err := b.Open()
			if err != nil {
				testenv.Missing(t, "%s: %v", b.Name, err)
			}
			if backend.Name() != b.Name {
				t.Fatalf("runs on %s, want %s", backend.Name(), b.Name)
			}
			f(t, newWorldOn(t, backend))
		})
	}
}

func newWorldOn(t testing.TB, b proactor.Backend) *world {
	t.Helper()
	w := &world{t: t, limit: 5 * time.Millisecond, end: time.Now().Add(30 * time.Second)}
	w.run(b)
	t.Cleanup(w.close)
	return w
}

func (w *world) run(b proactor.Backend) {
	w.l = loop.New(b, loop.Options{Name: "test", Report: func(x loop.Trouble) { w.troubles = append(w.troubles, x) }})
}

// close stops the loop: every connection must have been told exactly once.
func (w *world) close() {
	if err := w.l.Close(); err != nil && !errors.Is(err, loop.ErrGoexit) {
		w.t.Errorf("Close: %v", err)
	}
	for _, r := range w.recs {
		r.checkEnd()
	}
	if w.net != nil {
		if err := w.net.Leaks(); err != nil {
			w.t.Error(err)
		}
	}
}

// listen makes the world's listener.
func (w *world) listen(a proactor.Address) {
	w.t.Helper()
	ln, err := Listen(w.l, a, nil, func(h proactor.Handle, peer proactor.Address) {
		w.accepted = append(w.accepted, accepted{h, peer})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.ln = ln
}

// A dial is one connect.
type dial struct {
	op   proactor.Op
	to   proactor.Address
	done bool
}

func (d *dial) Complete(op *proactor.Op) { d.done = true }

// handles returns both ends of a new connection.
func (w *world) handles() (server accepted, client proactor.Handle) {
	w.t.Helper()
	if w.ln == nil {
		w.listen(tcpAny)
	}
	h, err := w.l.Sockets().Stream(w.ln.Addr(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	d := &dial{to: w.ln.Addr()}
	d.op = proactor.Op{Kind: proactor.OpConnect, Handle: h, Owner: d, Addr: &d.to}
	w.l.Submit(&d.op)
	w.until("connected", func() bool { return d.done && len(w.accepted) > 0 })
	if d.op.Err != nil {
		w.t.Fatalf("connect: %v", d.op.Err)
	}
	server = w.accepted[0]
	w.accepted = w.accepted[1:]
	return server, h
}

// pair connects two protocols.
func (w *world) pair(server, client Protocol, o *Options) (s, c *Conn) {
	w.t.Helper()
	a, h := w.handles()
	s = NewConn(w.l, a.h, w.ln.Addr(), a.peer, o)
	local, _, _ := w.l.Sockets().Names(h)
	c = NewConn(w.l, h, local, w.ln.Addr(), o)
	s.Start(server)
	c.Start(client)
	return s, c
}

// until runs the loop until cond holds.
func (w *world) until(what string, cond func() bool) {
	w.t.Helper()
	start := w.l.Backend().Now()
	for turns := 0; !cond(); turns++ {
		err := w.l.Iterate(w.limit)
		switch {
		case w.net != nil && w.l.Backend().Now()-start > 4*time.Hour:
			w.t.Fatalf("not after 4 virtual hours: %s%s", what, w.story())
		case err != nil:
			w.t.Fatalf("until %s: %v%s", what, err, w.story())
		case w.net == nil && time.Now().After(w.end):
			w.t.Fatalf("not after 30 s: %s%s", what, w.story())
		case turns == 5_000_000:
			w.t.Fatalf("not after %d turns: %s%s", turns, what, w.story())
		}
	}
}

// turns runs a few turns in which nothing is waited for.
func (w *world) turns(n int) {
	w.t.Helper()
	for range n {
		if err := w.l.Iterate(0); err != nil {
			w.t.Fatal(err)
		}
	}
}

// after returns a condition that holds d from now.
func after(w *world, d time.Duration) func() bool {
	over := false
	w.l.Start(&loop.Timer{Func: func() { over = true }}, d)
	return func() bool { return over }
}

// pass lets d pass; on real backends 20 ms at most.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	if w.net == nil {
		d = min(d, 20*time.Millisecond)
	}
	over := false
	timer := loop.Timer{Func: func() { over = true }}
	w.l.Start(&timer, d)
	w.until("time has passed", func() bool { return over })
}

func (w *world) story() string {
	text := fmt.Sprintf("\nbackend %+v", w.l.Backend().Stats())
	if w.ln != nil {
		text += fmt.Sprintf("\nlistener %+v, state %d, %v", w.ln.stats, w.ln.state, w.troubles)
	}
	if w.net != nil {
		text += fmt.Sprintf("\nseed %d", w.net.Seed())
	}
	for _, r := range w.recs {
		text += fmt.Sprintf("\n%s: %v, %d bytes, lost: %v", r.name, r.events, r.got.Len(), r.err)
		if r.c != nil {
			text += fmt.Sprintf(", state %v, %d queued, %d kept", r.c.state, r.c.out.n, r.c.in.n)
		}
	}
	return text
}

// A rec records what a connection tells its protocol, and checks that it is
// told in order. It is no HalfCloser and no Drainer; half, drain and both add
// that.
type rec struct {
	w       *world
	name    string
	c       *Conn
	events  []string // without data
	got     bytes.Buffer
	err     error
	losts   int
	inside  int  // callbacks under way
	hanging bool // its operations do not end
	deaf    bool // got is not kept

	onMade, onData, onRead, onWrite, onPause, onResume, onLost func(*rec)
	last                                                       []byte // what DataReceived was given
}

func (w *world) rec(name string) *rec {
	r := &rec{w: w, name: name}
	w.recs = append(w.recs, r)
	return r
}

func (r *rec) note(event string, f func(*rec)) {
	if r.losts > 0 && event != "lost" {
		r.w.t.Errorf("%s: %s after ConnectionLost", r.name, event)
	}
	r.events = append(r.events, event)
	if f != nil {
		r.inside++
		defer func() { r.inside-- }()
		f(r)
	}
}

func (r *rec) ConnectionMade(t Transport) {
	if r.c != nil {
		r.w.t.Errorf("%s: second ConnectionMade", r.name)
	}
	r.c = t.(*Conn)
	r.note("made", r.onMade)
}

func (r *rec) DataReceived(p []byte) {
	switch {
	case r.c == nil || r.losts > 0:
		r.w.t.Errorf("%s: DataReceived before the beginning or after the end", r.name)
	case len(p) == 0:
		r.w.t.Errorf("%s: DataReceived of nothing", r.name)
	case r.inside > 0:
		r.w.t.Errorf("%s: DataReceived inside a callback", r.name)
	case r.c.flags.has(paused):
		r.w.t.Errorf("%s: DataReceived while paused", r.name)
	case slices.Contains(r.events, "read lost"):
		r.w.t.Errorf("%s: DataReceived after the peer's end", r.name)
	}
	if !r.deaf {
		r.got.Write(p)
	}
	if r.onData != nil {
		r.last = p
		r.inside++
		defer func() { r.inside-- }()
		r.onData(r)
	}
}

func (r *rec) ConnectionLost(err error) {
	if r.losts++; r.losts > 1 {
		r.w.t.Errorf("%s: ConnectionLost %d times", r.name, r.losts)
	}
	if r.inside > 0 {
		r.w.t.Errorf("%s: ConnectionLost inside another callback", r.name)
	}
	if _, _, e := r.w.l.Sockets().Names(r.c.Handle()); e == nil && kindOf(err) != Detached && !r.hanging {
		r.w.t.Errorf("%s: the descriptor is open in ConnectionLost", r.name)
	}
	if !r.c.LocalAddr().IsValid() || !r.c.RemoteAddr().IsValid() {
		r.w.t.Errorf("%s: addresses %v, %v after the loss", r.name, r.c.LocalAddr(), r.c.RemoteAddr())
	}
	r.err = err
	r.note("lost", r.onLost)
}

func (r *rec) checkEnd() {
	if r.c != nil && r.losts != 1 {
		r.w.t.Errorf("%s: ConnectionLost %d times, want once; %v", r.name, r.losts, r.events)
	}
	if r.c != nil && (r.c.out.head != nil || r.c.in.head != nil || r.c.timer.Active() || r.c.state != dead) {
		r.w.t.Errorf("%s: not cleaned up: state %v, out %v, in %v", r.name, r.c.state, r.c.out, r.c.in)
	}
}

func (r *rec) lost() bool { return r.losts > 0 }

func kindOf(err error) Kind {
	var e *ConnError
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// want fails the test if the connection did not end like that.
func (r *rec) want(kind Kind, cause error) {
	r.w.t.Helper()
	if kindOf(r.err) != kind || !errors.Is(r.err, cause) {
		r.w.t.Errorf("%s ended with %v (%v), want %v and %v", r.name, r.err, kindOf(r.err), kind, cause)
	}
}

// half is a rec that is a HalfCloser.
type half struct{ *rec }

func (h half) ReadConnectionLost()  { h.note("read lost", h.onRead) }
func (h half) WriteConnectionLost() { h.note("write lost", h.onWrite) }

// drain is a rec that is a Drainer.
type drain struct{ *rec }

func (d drain) PauseWriting()  { d.alternate("pause"); d.note("pause", d.onPause) }
func (d drain) ResumeWriting() { d.alternate("resume"); d.note("resume", d.onResume) }

func (r *rec) alternate(event string) {
	if !r.c.state.in(writable) {
		r.w.t.Errorf("%s: %s though nothing may be written", r.name, event)
	}
	last := "resume"
	for _, e := range r.events {
		if e == "pause" || e == "resume" {
			last = e
		}
	}
	if last == event {
		r.w.t.Errorf("%s: %s twice in a row", r.name, event)
	}
}

// both is both.
type both struct {
	half
	d drain
}

func (b both) PauseWriting()  { b.d.PauseWriting() }
func (b both) ResumeWriting() { b.d.ResumeWriting() }

func newBoth(r *rec) both { return both{half{r}, drain{r}} }

// pattern returns n bytes of a stream that tells every mix-up.
func pattern(from, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		x := uint64(from+i) * 0x9E3779B97F4A7C15
		p[i] = byte(x>>56) ^ byte(x>>32)
	}
	return p
}
