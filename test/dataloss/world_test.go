package dataloss

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

// seeds is how many runs of the simulator each test makes.
func seeds() uint64 {
	if testing.Short() {
		return 3
	}
	return 20
}

// loopback is where listeners listen: a port that the backend chooses.
func loopback() proactor.Address {
	return proactor.IPAddress(proactor.TCP, netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
}

// A world is a loop with both ends of some connections on it.
type world struct {
	t     *testing.T
	l     *loop.Loop
	real  bool
	peers []*peer
}

// each runs f on every backend of this system, forced by name, and on the
// simulator with faults that a correct program does not notice.
func each(t *testing.T, f func(w *world)) {
	t.Helper()
	for _, real := range backends.Real() {
		t.Run(real.Name, func(t *testing.T) {
			testenv.Leaks(t)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			w := newWorld(t, open(t, real), true)
			defer w.close()
			f(w)
		})
	}
	t.Run("sim", func(t *testing.T) {
		for seed := range seeds() {
			net := sim.New(sim.Options{Seed: seed, Harmless: true})
			b, err := net.Open()
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, b, false)
			f(w)
			w.close()
			if err := net.Leaks(); err != nil {
				t.Error(err)
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
}

// open opens a real backend, and only that one.
func open(t *testing.T, real backends.Backend) proactor.Backend {
	t.Helper()
	b, err := real.Open()
	if err != nil {
		testenv.Missing(t, "%s: %v", real.Name, err)
	}
	if b.Name() != real.Name {
		t.Fatalf("the backend is %s, want %s", b.Name(), real.Name)
	}
	return b
}

func newWorld(t *testing.T, b proactor.Backend, real bool) *world {
	report := func(x loop.Trouble) { t.Errorf("%v\n%s", x, x.Stack) }
	return &world{t: t, real: real, l: loop.New(b, loop.Options{Name: "test", Report: report})}
}

func (w *world) close() {
	if err := w.l.Close(); err != nil {
		w.t.Errorf("close: %v", err)
	}
	for _, p := range w.peers {
		if p.t != nil && p.losts != 1 {
			w.t.Errorf("%s: ConnectionLost %d times", p.name, p.losts)
		}
	}
}

// until runs the loop until cond holds.
func (w *world) until(what string, cond func() bool) {
	w.t.Helper()
	end, turn := w.l.Backend().Now()+time.Hour, time.Minute
	if w.real {
		end, turn = w.l.Backend().Now()+time.Minute, 2*time.Millisecond
	}
	for !cond() {
		if err := w.l.Iterate(turn); err != nil {
			w.t.Fatalf("until %s: %v%s", what, err, w.story())
		}
		if w.l.Backend().Now() > end {
			w.t.Fatalf("never: %s%s", what, w.story())
		}
	}
}

func (w *world) story() string {
	text := ""
	for _, p := range w.peers {
		text += fmt.Sprintf("\n%s: %d bytes, ended %d times with %v", p.name, p.n, p.losts, p.err)
	}
	return text
}

// scaled is an amount of bytes: less on the simulator if the tests shall be short.
func (w *world) scaled(n int) int {
	if !w.real && testing.Short() {
		return n / 8
	}
	return n
}

// after calls f on the loop once d has passed.
func (w *world) after(d time.Duration, f func()) { w.l.Start(&loop.Timer{Func: f}, d) }

// A peer is a protocol that checks what it receives against the pattern.
type peer struct {
	w     *world
	name  string
	t     transport.Transport
	n     int // bytes received
	wrong bool
	losts int
	err   error

	onMade, onData func(p *peer)
}

func (w *world) peer(name string) *peer {
	p := &peer{w: w, name: name}
	w.peers = append(w.peers, p)
	return p
}

func (p *peer) ConnectionMade(t transport.Transport) {
	p.t = t
	if p.onMade != nil {
		p.onMade(p)
	}
}

func (p *peer) DataReceived(b []byte) {
	if i := differs(b, p.n); i >= 0 && !p.wrong {
		p.wrong = true
		p.w.t.Errorf("%s: byte %d is %d, want %d: bytes were lost, doubled or reordered", p.name, p.n+i, b[i], at(p.n+i))
	}
	p.n += len(b)
	if p.onData != nil {
		p.onData(p)
	}
}

func (p *peer) ConnectionLost(err error) {
	p.losts++
	p.err = err
}

func (p *peer) ended() bool { return p.losts > 0 }

// want fails the test unless p got n bytes and then a clean end.
func (p *peer) want(n int) {
	p.w.t.Helper()
	var e *transport.ConnError
	if p.n != n || !errors.As(p.err, &e) || e.Kind != transport.Done {
		p.w.t.Errorf("%s got %d bytes and then %v, want %d and a clean end", p.name, p.n, p.err, n)
	}
}

// half is a peer that goes on when the other has finished writing.
type half struct {
	*peer
	onEnd func(p *peer)
}

func (h half) ReadConnectionLost()  { h.onEnd(h.peer) }
func (h half) WriteConnectionLost() {}

// pair connects two protocols at an address, TCP or unix.
func (w *world) pair(a proactor.Address, server, client transport.Protocol, o *transport.Options) {
	w.t.Helper()
	var ln *transport.Listener
	ln = w.listen(a, func(h proactor.Handle, from proactor.Address, at proactor.Address) {
		transport.NewConn(w.l, h, at, from, o).Start(server)
		ln.Stop()
	})
	w.dial(ln.Addr(), client, o, func(err error) {
		if err != nil {
			w.t.Errorf("connect: %v", err)
		}
	})
}

func (w *world) listen(a proactor.Address, accept func(h proactor.Handle, from, at proactor.Address)) *transport.Listener {
	w.t.Helper()
	var ln *transport.Listener
	ln, err := transport.Listen(w.l, a, nil, func(h proactor.Handle, from proactor.Address) { accept(h, from, ln.Addr()) })
	if err != nil {
		w.t.Fatal(err)
	}
	return ln
}

// A dialing is one connect, and what becomes of it.
type dialing struct {
	w    *world
	op   proactor.Op
	to   proactor.Address
	p    transport.Protocol
	o    *transport.Options
	then func(err error)
}

func (w *world) dial(to proactor.Address, p transport.Protocol, o *transport.Options, then func(err error)) {
	w.t.Helper()
	h, err := w.l.Sockets().Stream(to, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	d := &dialing{w: w, to: to, p: p, o: o, then: then}
	d.op = proactor.Op{Kind: proactor.OpConnect, Handle: h, Owner: d, Addr: &d.to}
	w.l.Submit(&d.op)
}

// Complete starts the protocol, or closes the handle of a failed attempt.
func (d *dialing) Complete(op *proactor.Op) {
	if op.Err != nil {
		if err := d.w.l.Sockets().CloseFD(op.Handle); err != nil {
			d.w.t.Errorf("close: %v", err)
		}
		d.then(op.Err)
		return
	}
	local, _, err := d.w.l.Sockets().Names(op.Handle)
	if err != nil {
		d.w.t.Errorf("names: %v", err)
	}
	transport.NewConn(d.w.l, op.Handle, local, d.to, d.o).Start(d.p)
	d.then(nil)
}

// at is the byte at a place of every stream: no two cuts of it look alike. It
// comes again after period bytes.
func at(i int) byte { return byte(i ^ i>>8 ^ i>>16) }

const period = 1 << 24

// wheel is the stream, a little more than once round.
var wheel = sync.OnceValue(func() []byte {
	b := make([]byte, period+1<<20)
	for i := range b {
		b[i] = at(i % period)
	}
	return b
})

// pattern returns n bytes of the stream from a place on.
func pattern(from, n int) []byte {
	b := make([]byte, 0, n)
	for len(b) < n {
		piece := wheel()[(from+len(b))%period:]
		b = append(b, piece[:min(len(piece), n-len(b))]...)
	}
	return b
}

// differs returns where b is not the stream from a place on, or -1.
func differs(b []byte, from int) int {
	for done := 0; done < len(b); {
		piece := wheel()[(from+done)%period:]
		piece = piece[:min(len(piece), len(b)-done)]
		if !bytes.Equal(piece, b[done:done+len(piece)]) {
			for i, c := range piece {
				if b[done+i] != c {
					return done + i
				}
			}
		}
		done += len(piece)
	}
	return -1
}
