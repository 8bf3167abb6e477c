package sim

import (
	"bytes"
	"io"
	"syscall"
	"testing"
	"time"

	"mobius/proactor"
)

// A pipe is a relay in the middle of two streams: from → [src relay dst] → to.
type pipe struct {
	*bench
	b         *Backend
	from, src proactor.Handle
	dst, to   proactor.Handle
	r         proactor.Relay
	relay     *probe
}

func newPipe(tb testing.TB, f *Faults, o *proactor.SocketOptions) *pipe {
	w := quiet(tb, 1)
	p := &pipe{bench: w, b: w.hosts[0]}
	p.from, p.src = w.stream(loopback, o)
	p.dst, p.to = w.stream(loopback, o)
	p.setFaults(f)
	return p
}

func (p *pipe) setFaults(f *Faults) {
	for k := range f.rates {
		p.net.odds[k] = uint64(f.rates[k] * (1 << 53))
	}
}

func (p *pipe) start() {
	p.r.Dst = p.dst
	p.relay = start(p.b, proactor.Op{Kind: proactor.OpRelay, Handle: p.src, Relay: &p.r})
}

func TestRelay(t *testing.T) {
	for _, f := range []*Faults{NoFaults, NoFaults.Set(0.5, Cut, ShortSend, Delay, Jitter)} {
		p := newPipe(t, f, &proactor.SocketOptions{SendBuffer: 3000, RecvBuffer: 3000})
		data := sample(100_000)
		p.r.Head = []byte("head: ")
		p.r.Budget = 1000
		p.start()
		start(p.b, proactor.Op{Kind: proactor.OpSend, Handle: p.from, Buf: data})
		p.pass(time.Second)
		if moved := p.r.Moved.Load(); moved < 2000 || moved > 6000 {
			t.Fatalf("%d bytes moved to a peer that does not read", moved)
		}
		in := recv(p.b, p.to)
		p.until(func() bool { return len(in.bytes) == len(data)+6 })
		last := time.Duration(p.r.Last.Load())
		if p.relay.done() || p.r.Moved.Load() != int64(len(data)+6) || last == 0 || last > p.net.Now() {
			t.Fatalf("moved %d at %v", p.r.Moved.Load(), last)
		}
		wantBytes(t, in.bytes, append([]byte("head: "), data...))
		p.close(p.b, p.from)
		p.until(p.relay.done)
		if p.relay.err != io.EOF || p.r.Side != proactor.NoSide || p.r.Rest != nil || in.done() {
			t.Fatalf("%v of the %v, %d in Rest", p.relay.err, p.r.Side, len(p.r.Rest))
		}
		p.close(p.b, p.dst)
		p.until(in.done)
	}
}

// A relay moves at most its budget in one Poll, so that others have their turn.
func TestRelayBudget(t *testing.T) {
	p := newPipe(t, NoFaults, nil)
	p.until(send(p.b, p.from, string(sample(10_000))).done)
	p.pass(time.Second)
	p.r.Budget = 300
	p.start()
	for polls := 0; p.r.Moved.Load() < 10_000; polls++ {
		before := p.r.Moved.Load()
		if err := p.b.Poll(-1); err != nil {
			t.Fatal(err)
		}
		if moved := p.r.Moved.Load() - before; moved > 300 || polls > 200 {
			t.Fatalf("%d bytes in poll %d with a budget of 300", moved, polls)
		}
	}
}

func TestRelayWindow(t *testing.T) {
	p := newPipe(t, NoFaults, nil)
	p.until(send(p.b, p.from, "0123456789").done)
	in := recv(p.b, p.to)
	p.r.Window = 4
	for i, want := range []string{"0123", "01234567"} {
		p.start()
		p.until(p.relay.done)
		p.pass(time.Second)
		if p.relay.err != nil || string(in.bytes) != want || p.r.Moved.Load() != int64(len(want)) {
			t.Fatalf("window %d: %v, %q", i, p.relay.err, in.bytes)
		}
	}
	p.r.Window = 0
	p.start()
	p.pass(time.Second)
	if string(in.bytes) != "0123456789" {
		t.Fatalf("%q", in.bytes)
	}
}

// A canceled relay hands over what it has read and not sent: with it, nothing
// is lost.
func TestRelayRest(t *testing.T) {
	rests := 0
	for round := range 50 {
		p := newPipe(t, NoFaults, &proactor.SocketOptions{SendBuffer: 700, RecvBuffer: 300})
		data := sample(20_000)
		start(p.b, proactor.Op{Kind: proactor.OpSend, Handle: p.from, Buf: data})
		in := start(p.b, proactor.Op{Kind: proactor.OpRecv, Handle: p.to, Limit: 1 + 37*round})
		p.start()
		p.until(in.done)
		p.pass(time.Duration(round) * 10 * time.Microsecond)
		p.b.Cancel(&p.relay.Op)
		p.until(p.relay.done)
		if p.relay.err != proactor.ErrCanceled {
			t.Fatal(p.relay.err)
		}
		rests += len(p.r.Rest)
		all := recv(p.b, p.to)
		p.r.Head, p.r.Rest = p.r.Rest, nil
		p.start()
		p.until(func() bool { return len(in.bytes)+len(all.bytes) == len(data) })
		wantBytes(t, append(in.bytes, all.bytes...), data)
	}
	if rests == 0 {
		t.Error("no relay was ever canceled with something in hand")
	}
}

func TestRelaySides(t *testing.T) {
	p := newPipe(t, NoFaults, nil)
	p.until(send(p.b, p.from, "last words").done)
	p.pass(time.Second)
	p.b.Reset(p.from)
	p.close(p.b, p.from)
	p.pass(time.Second)
	in := recv(p.b, p.to)
	p.start()
	p.until(p.relay.done)
	p.pass(time.Second)
	if p.relay.err != syscall.ECONNRESET || p.r.Side != proactor.Source || !bytes.Equal(in.bytes, []byte("last words")) {
		t.Fatalf("%v of the %v after %q", p.relay.err, p.r.Side, in.bytes)
	}
	p = newPipe(t, NoFaults, nil)
	p.start()
	p.b.Reset(p.to)
	p.close(p.b, p.to)
	p.pass(time.Second)
	p.until(send(p.b, p.from, "who listens?").done)
	p.until(p.relay.done)
	if p.relay.err != syscall.ECONNRESET || p.r.Side != proactor.Sink || string(p.r.Rest) != "who listens?" {
		t.Fatalf("%v of the %v, rest %q", p.relay.err, p.r.Side, p.r.Rest)
	}
	if n := p.b.Stats(); n.Ops != 0 {
		t.Fatalf("%d ops", n.Ops)
	}
}
