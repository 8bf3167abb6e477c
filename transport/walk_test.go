package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
)

// A walk is a simulated world in which connections do what a random number
// says, and a model that knows what may come of it.
type walk struct {
	*world
	rng     *rand.Rand
	o       *Options
	links   map[proactor.Address]*link // by the client's address
	walkers []*walker
	ending  bool
	gentle  bool // nobody aborts, and the network is harmless
	most    int  // bytes of one write
}

// A link is one connection: a stream each way.
type link struct{ up, down stream }

// A stream is what one end has written, and how much of it the other has got.
type stream struct {
	sent []byte
	got  int
	done bool // the writer's end was orderly: all of sent must arrive before the end
	cut  bool // the writer, or the network, may have cut it
}

// A walker is one end.
type walker struct {
	*rec
	k        *walk
	in, out  *stream
	timer    loop.Timer
	owned    int // WriteOwned
	released int
	gave     bool // by Detach
}

func newWalk(t *sim.T, gentle bool) *walk {
	rng := rand.New(rand.NewPCG(t.Seed, 7))
	pick := func(of ...int) int { return of[rng.IntN(len(of))] }
	o := sim.Options{
		Harmless: gentle,
		Buffers:  pick(2, 4, 64), BufferSize: pick(1, 100, 4096, 65536), Holds: pick(1, 2, 50), StreamBuffer: pick(100, 4096, 65536),
	}
	w := &world{t: t, net: t.Net(o), limit: time.Minute}
	b, err := w.net.Open()
	if err != nil {
		t.Fatal(err)
	}
	w.run(b)
	k := newWalkIn(w, rng, gentle)
	k.most = min(k.most, 100*min(o.BufferSize, o.StreamBuffer)) // one byte at a time takes its time
	return k
}

// newWalkIn returns a walk in any world.
func newWalkIn(w *world, rng *rand.Rand, gentle bool) *walk {
	pick := func(of ...int) int { return of[rng.IntN(len(of))] }
	k := &walk{world: w, rng: rng, links: map[proactor.Address]*link{}, gentle: gentle, most: 50_000}
	k.o = &Options{
		HighWater: pick(1, 5000, 0), LowWater: pick(-1, 100, 0), HardLimit: pick(3000, 0), ZeroCopyFrom: pick(0, 1, 1000),
		CloseTimeout: time.Duration(pick(0, 1)) * time.Second, IdleTimeout: time.Duration(pick(0, 0, 20)) * time.Second,
		HalfClosedTimeout: time.Duration(pick(0, 2)) * time.Second,
	}
	if gentle {
		k.o.CloseTimeout, k.o.IdleTimeout, k.o.HalfClosedTimeout = -1, 0, -1
	}
	return k
}

func (k *walk) link(client proactor.Address) *link {
	if k.links[client] == nil {
		k.links[client] = &link{}
	}
	return k.links[client]
}

// begin makes a listener and dials it a few times.
func (k *walk) begin(dials int) {
	addr := tcpAny
	if k.net != nil && k.rng.IntN(4) == 0 {
		addr = onePath
	}
	for k.ln == nil { // the listener's socket may find no descriptor
		ln, err := Listen(k.l, addr, nil, func(h proactor.Handle, peer proactor.Address) {
			l := k.link(peer)
			k.start("server", h, peer, &l.up, &l.down)
		})
		if err == nil {
			k.ln = ln
		}
	}
	for range dials {
		if addr == onePath {
			k.pairUp() // unnamed clients cannot be told apart
		} else {
			k.dial()
		}
	}
}

func (k *walk) pairUp() {
	a, b := k.net.Pair()
	l := &link{}
	for i, fd := range []int{a, b} {
		h, err := k.l.Sockets().Adopt(fd)
		if err != nil {
			k.t.Fatal(err)
		}
		if i == 0 {
			k.start("first", h, onePath, &l.up, &l.down)
		} else {
			k.start("second", h, onePath, &l.down, &l.up)
		}
	}
}

// A walkDial connects, or fails as the network wants it.
type walkDial struct {
	k  *walk
	op proactor.Op
	to proactor.Address
}

func (k *walk) dial() {
	h, err := k.l.Sockets().Stream(k.ln.Addr(), nil)
	if err != nil {
		return
	}
	d := &walkDial{k: k, to: k.ln.Addr()}
	d.op = proactor.Op{Kind: proactor.OpConnect, Handle: h, Owner: d, Addr: &d.to}
	k.l.Submit(&d.op)
}

func (d *walkDial) Complete(op *proactor.Op) {
	local, _, err := d.k.l.Sockets().Names(op.Handle)
	if op.Err != nil || err != nil {
		_ = d.k.l.Sockets().CloseFD(op.Handle)
		return
	}
	l := d.k.link(local)
	d.k.start("client", op.Handle, d.to, &l.down, &l.up)
}

func (k *walk) start(name string, h proactor.Handle, peer proactor.Address, in, out *stream) *walker {
	r := k.rec(fmt.Sprintf("%s %d", name, len(k.walkers)))
	r.deaf = true
	a := &walker{rec: r, k: k, in: in, out: out}
	r.onMade = func(*rec) { a.step() }
	r.onData = func(*rec) { a.received(r.last) }
	r.onLost = func(*rec) { a.ended() }
	for _, f := range []*func(*rec){&r.onRead, &r.onWrite, &r.onPause, &r.onResume} {
		*f = func(*rec) {
			if k.rng.IntN(3) == 0 {
				a.step()
			}
		}
	}
	a.timer.Func = a.tick
	k.walkers = append(k.walkers, a)
	var p Protocol = r
	switch k.rng.IntN(4) {
	case 0:
		p = half{r}
	case 1:
		p = drain{r}
	case 2:
		p = newBoth(r)
	}
	c := NewConn(k.l, h, k.ln.Addr(), peer, k.o)
	c.Start(wrapper{p})
	k.l.Start(&a.timer, a.pause())
	return a
}

func (a *walker) pause() time.Duration {
	longest := time.Second
	if a.k.net == nil {
		longest = 10 * time.Millisecond
	}
	if a.k.ending {
		return longest
	}
	return time.Duration(a.k.rng.Int64N(int64([]time.Duration{50 * time.Microsecond, longest / 200, longest}[a.k.rng.IntN(3)])))
}

func (a *walker) tick() {
	if a.losts > 0 {
		return
	}
	a.inside++ // nothing may be called back inside but PauseWriting
	a.step()
	a.inside--
	a.k.l.Start(&a.timer, a.pause())
}

// received checks what has come against what was sent.
func (a *walker) received(p []byte) {
	a.took(p)
	if a.k.rng.IntN(2) == 0 {
		for len(p) > 0 && a.losts == 0 {
			n := 1 + a.k.rng.IntN(len(p))
			a.wrote(p[:n], func() error { _, err := a.c.Write(p[:n]); return err })
			p = p[n:]
			if a.k.rng.IntN(3) == 0 {
				break
			}
		}
	}
	if a.k.rng.IntN(4) == 0 {
		a.step()
	}
}

func (a *walker) took(p []byte) {
	end := a.in.got + len(p)
	if end > len(a.in.sent) || !bytes.Equal(a.in.sent[a.in.got:end], p) {
		a.k.t.Fatalf("%s: bytes %d to %d are not what was sent (%d)%s", a.name, a.in.got, end, len(a.in.sent), a.k.story())
	}
	a.in.got = end
}

// inputEnds checks that an end of the stream that this end believes in comes
// after all that was sent: on TCP always, since whoever loses output tells so by
// a reset; on unix sockets, which know no reset, if the other end was orderly.
func (a *walker) inputEnds() {
	tcp := !a.c.RemoteAddr().IsUnix()
	if (tcp || a.in.done && !a.in.cut) && a.in.got != len(a.in.sent) {
		a.k.t.Errorf("%s: the end came after %d of %d bytes%s", a.name, a.in.got, len(a.in.sent), a.k.story())
	}
}

// ended checks the end itself.
func (a *walker) ended() {
	if a.owned != a.released {
		a.k.t.Errorf("%s: %d of %d owned buffers released before ConnectionLost", a.name, a.released, a.owned)
	}
	kind := kindOf(a.err)
	switch {
	case kind == 0 || kind == Panicked:
		a.k.t.Errorf("%s: ended with %v", a.name, a.err)
	case kind == Failed: // this reason may hide that the flush failed
		a.out.cut = a.out.cut || !a.k.gentle
	case kind == Done && errors.Is(a.err, io.EOF):
		a.inputEnds()
	case kind != Done && kind != Detached:
		a.out.cut = true
		if a.k.gentle && kind != Stopped {
			a.k.t.Errorf("%s: ended with %v on a harmless network%s", a.name, a.err, a.k.story())
		}
	}
}
