package proxy

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/transport"
)

// A world is a simulated network with clients on one loop, a proxy on one or
// several, and upstreams on another, all driven by the test's goroutine.
type world struct {
	t         testing.TB
	net       *sim.Net
	near, far *loop.Loop   // of clients, of upstreams
	loops     []*loop.Loop // of the proxy
	p         *Proxy
	router    *RoundRobin
	addr      proactor.Address
	servers   []*transport.Listener
	clients   []*peer
	accepted  []*peer // upstreams' ends, in the order of their accept
	reports   []Report
	plans     []plan
	byHand    bool          // accepted connections are hands
	hands     []*hand       // those
	step      time.Duration // virtual time in which the loops look at the world again
}

// A plan is what the two ends of one connection do.
type plan struct {
	mode    mode
	request int           // bytes the client sends, its number of 4 bytes included
	reply   int           // bytes the upstream sends
	hold    bool          // the client ends its stream only after the upstream's end
	delay   time.Duration // before a late reply
	cutAt   int           // bytes after which an end resets
}

type mode int

const (
	eager       mode = iota // reply at once, then end
	late                    // reply after the end of the request and a delay
	serverReset             // reset after cutAt bytes of the reply were sent
	clientReset             // reset after cutAt bytes of the reply were received
	mute                    // neither reply nor end
	modes
)

// newWorld makes a world with a proxy in front of n upstreams. o.Route is filled in.
func newWorld(t testing.TB, so sim.Options, loops, upstreams int, o Options) *world {
	t.Helper()
	w := &world{t: t, net: sim.New(so), step: time.Second}
	w.near, w.far = w.newLoop(), w.newLoop()
	for range loops {
		w.loops = append(w.loops, w.newLoop())
	}
	var addrs []proactor.Address
	for range upstreams {
		w.servers = append(w.servers, w.serve(tcp(t, 0)))
		addrs = append(addrs, w.servers[len(w.servers)-1].Addr())
	}
	w.start(addrs, o)
	return w
}

func (w *world) serve(addr proactor.Address) *transport.Listener {
	for { // a fault may take the descriptor away
		ln, err := transport.Listen(w.far, addr, nil, w.upstreamAccepted)
		if err == nil {
			return ln
		}
	}
}

func (w *world) start(addrs []proactor.Address, o Options) {
	w.t.Helper()
	var err error
	if o.Route == nil {
		w.router, err = NewRoundRobin(addrs...)
		o.Route = w.router
	}
	if err == nil {
		inner := o.Report
		o.Report = ReporterFunc(func(r *Report) {
			w.reports = append(w.reports, *r)
			if inner != nil {
				inner.Closed(r)
			}
		})
		w.p, err = New(w.loops, o)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for err = w.p.Listen(tcp(w.t, 0)); err != nil; err = w.p.Listen(tcp(w.t, 0)) {
		continue
	}
	w.addr = w.p.Addrs()[0]
}

func tcp(t testing.TB, port uint16) proactor.Address {
	a, err := proactor.ParseAddress("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return a.WithPort(port)
}

func (w *world) newLoop() *loop.Loop {
	b, err := w.net.Open()
	if err != nil {
		w.t.Fatal(err)
	}
	return loop.New(b, loop.Options{Report: func(t loop.Trouble) {
		if t.Kind == loop.Panicked {
			w.t.Logf("%v\n%s", t, t.Stack)
		}
	}})
}

func (w *world) all() []*loop.Loop { return append([]*loop.Loop{w.near, w.far}, w.loops...) }

// until turns all loops until cond holds, for at most limit of virtual time.
func (w *world) until(what string, limit time.Duration, cond func() bool) {
	w.t.Helper()
	end := w.net.Now() + limit
	for !cond() {
		if w.net.Now() > end {
			w.t.Fatalf("seed %d: after %v: not %s", w.net.Seed(), limit, what)
		}
		if err := w.turn(); err != nil {
			w.t.Fatalf("seed %d: waiting for %s: %v", w.net.Seed(), what, err)
		}
	}
}

// turn turns every loop, and lets time pass only once no loop has anything to
// do at present: no loop is slow here, so that deadlines mean what they say.
func (w *world) turn() error {
	for _, l := range w.all() {
		before := w.progress()
		if err := l.Iterate(w.step); err != nil {
			return err
		}
		for after := w.progress(); after != before; after = w.progress() {
			before = after
			for _, l := range w.all() {
				if err := l.Iterate(0); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// progress is a number that changes when a loop does something.
func (w *world) progress() (sum uint64) {
	for _, l := range w.all() {
		s := l.Backend().Stats()
		sum += s.Submitted + s.Completed + s.RelayCopied
	}
	return sum
}

// pass lets virtual time pass.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	end := w.net.Now() + d
	w.until("later", d+time.Minute, func() bool { return w.net.Now() >= end })
}

// close stops the proxy and looks for what was left behind.
func (w *world) close() {
	w.t.Helper()
	for _, s := range w.servers {
		s.Stop()
	}
	w.p.Drain()
	w.until("drained", time.Hour, func() bool { return w.p.Live() == 0 && w.near.Members()+w.far.Members() == 0 })
	for _, l := range w.all() {
		l.Stop()
	}
	for _, l := range w.all() {
		for l.Iterate(0) == nil {
			continue
		}
	}
	for i, l := range w.loops {
		if n := l.Members(); n != 0 {
			w.t.Errorf("proxy loop %d has %d members left", i, n)
		}
		if s := l.Backend().Stats(); s.Handles != 0 || s.Ops != 0 || s.Holds != 0 {
			w.t.Errorf("proxy loop %d has %d handles, %d ops, %d holds left", i, s.Handles, s.Ops, s.Holds)
		}
	}
	for _, l := range w.all() {
		if err := l.Close(); err != nil {
			w.t.Error(err)
		}
	}
	if err := w.net.Leaks(); err != nil {
		w.t.Errorf("seed %d: %v", w.net.Seed(), err)
	}
}

// A peer is one end of a connection through the proxy.
type peer struct {
	w                *world
	l                *loop.Loop
	h                proactor.Handle
	client           bool
	dial, recv, send proactor.Op
	timer            loop.Timer
	addr             proactor.Address
	plan             plan
	number           int // of the plan; -1 if not known yet
	out, got         []byte
	end, sendErr     error
	sent             int
	shut             bool // its stream is ended
	closing, closed  bool
	reset            bool
}

func (w *world) newPeer(l *loop.Loop, h proactor.Handle) *peer {
	p := &peer{w: w, l: l, h: h, number: -1}
	p.recv = proactor.Op{Kind: proactor.OpRecv, Handle: h, Owner: p}
	p.send = proactor.Op{Kind: proactor.OpSend, Handle: h, Owner: p}
	p.timer.Func = p.transmit
	return p
}

// client connects one client through the proxy.
func (w *world) client(pl plan) *peer {
	return w.clientTo(w.addr, pl)
}

func (w *world) clientTo(addr proactor.Address, pl plan) *peer {
	h, err := w.near.Sockets().Stream(addr, nil)
	for ; err != nil; h, err = w.near.Sockets().Stream(addr, nil) {
		continue
	}
	p := w.newPeer(w.near, h)
	p.client, p.addr, p.plan, p.number = true, addr, pl, len(w.plans)
	p.out = content(w.net.Seed(), p.number, 1, max(pl.request, 4))
	binary.BigEndian.PutUint32(p.out, uint32(p.number))
	w.plans = append(w.plans, pl)
	w.clients = append(w.clients, p)
	p.dial = proactor.Op{Kind: proactor.OpConnect, Handle: h, Addr: &p.addr, Owner: p}
	p.l.Submit(&p.dial)
	return p
}

func content(seed uint64, number, side, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, uint64(number*2+side)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func (w *world) upstreamAccepted(h proactor.Handle, _ proactor.Address) {
	if w.byHand {
		x := w.newHand(w.far, h)
		w.hands = append(w.hands, x)
		x.l.Submit(&x.recv)
		return
	}
	p := w.newPeer(w.far, h)
	w.accepted = append(w.accepted, p)
	p.l.Submit(&p.recv)
}

// Complete is a peer's whole behaviour.
func (p *peer) Complete(op *proactor.Op) {
	switch op {
	case &p.dial:
		if op.Err != nil {
			p.end = op.Err
			p.close(false)
			break
		}
		p.l.Submit(&p.recv)
		p.transmit()
	case &p.recv:
		p.received(op)
	case &p.send:
		p.sent += op.N
		p.sendErr = op.Err
		if !p.client && p.plan.mode == serverReset && op.Err == nil {
			p.close(true)
		}
	}
	p.proceed()
}

func (p *peer) received(op *proactor.Op) {
	p.got = append(p.got, op.Buf...)
	if !op.More && !p.closing {
		p.end = op.Err
	}
	if p.client {
		if p.plan.mode == clientReset && len(p.got) >= p.plan.cutAt {
			p.close(true)
		}
		return
	}
	if p.number < 0 && len(p.got) >= 4 {
		p.number = int(binary.BigEndian.Uint32(p.got))
		p.plan = p.w.plans[p.number]
		p.out = content(p.w.net.Seed(), p.number, 0, p.plan.reply)
		switch p.plan.mode {
		case eager, clientReset:
			p.transmit()
		case serverReset:
			p.out = p.out[:min(p.plan.cutAt, len(p.out))]
			p.transmit()
		}
	}
	if p.plan.mode == late && p.end == io.EOF && p.number >= 0 {
		p.l.Start(&p.timer, p.plan.delay)
	}
}

func (p *peer) transmit() {
	if !p.closing {
		p.send.Buf = p.out
		p.l.Submit(&p.send)
	}
}

// proceed ends the stream, and closes, when it is time.
func (p *peer) proceed() {
	if p.closing {
		p.reap()
		return
	}
	if p.send.Active() || p.dial.Active() || p.timer.Active() {
		return
	}
	sentAll := p.sent == len(p.out) && p.number >= 0 && (p.client || p.plan.mode != mute)
	if p.client && p.plan.hold {
		sentAll = sentAll && p.end != nil
	}
	if sentAll && !p.shut {
		p.shut = true
		p.l.Sockets().Shutdown(p.h)
	}
	if p.end != nil && p.end != io.EOF || p.sendErr != nil || p.end == io.EOF && p.shut {
		p.close(false)
	}
}

// close ends the connection for good, once nothing is active on it.
func (p *peer) close(reset bool) {
	if p.closing {
		return
	}
	p.closing, p.reset = true, reset
	p.timer.Stop()
	p.l.Cancel(&p.recv)
	p.l.Cancel(&p.send)
	p.reap()
}

func (p *peer) reap() {
	if p.closed || p.recv.Active() || p.send.Active() {
		return
	}
	p.closed = true
	if p.reset {
		p.l.Sockets().Reset(p.h)
	}
	p.l.Sockets().CloseFD(p.h)
}

// ended reports whether the other side's stream came to its end. (Where
// sending met the reset, receiving knows only that there is no more.)
func (p *peer) ended() bool { return p.end == io.EOF && p.sendErr == nil }
