package proxy

import (
	"io"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
)

// A hand is an end of a connection that does what the test says.
type hand struct {
	w                *world
	l                *loop.Loop
	h                proactor.Handle
	dial, recv, send proactor.Op
	addr             proactor.Address
	got              []byte
	end, failed      error
}

// quietWorld is a world without faults in which accepted connections are the
// test's own.
func quietWorld(t testing.TB, loops, upstreams int, o Options) *world {
	t.Helper()
	w := newWorld(t, sim.Options{Faults: sim.NoFaults}, loops, upstreams, o)
	w.byHand = true
	return w
}

func (w *world) newHand(l *loop.Loop, h proactor.Handle) *hand {
	x := &hand{w: w, l: l, h: h}
	x.recv = proactor.Op{Kind: proactor.OpRecv, Handle: h, Owner: x}
	return x
}

// connect connects a client through the proxy and waits until it is.
func (w *world) connect() *hand {
	w.t.Helper()
	h, err := w.near.Sockets().Stream(w.addr, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	x := w.newHand(w.near, h)
	x.addr = w.addr
	x.dial = proactor.Op{Kind: proactor.OpConnect, Handle: h, Addr: &x.addr, Owner: x}
	w.near.Submit(&x.dial)
	w.until("connected", time.Minute, func() bool { return !x.dial.Active() })
	if x.dial.Err != nil {
		w.t.Fatal(x.dial.Err)
	}
	return x
}

// pair connects a client and waits for the upstream's end of it.
func (w *world) pair() (client, server *hand) {
	w.t.Helper()
	n := len(w.hands)
	client = w.connect()
	w.until("accepted upstream", time.Minute, func() bool { return len(w.hands) > n })
	return client, w.hands[n]
}

// Complete takes results.
func (x *hand) Complete(op *proactor.Op) {
	switch op {
	case &x.dial:
		if op.Err == nil {
			x.l.Submit(&x.recv)
		}
	case &x.send:
		x.failed = op.Err
	case &x.recv:
		x.got = append(x.got, op.Buf...)
		if !op.More {
			x.end = op.Err
		}
	}
}

// say sends text and waits until the kernel has taken it.
func (x *hand) say(text string) {
	x.w.t.Helper()
	x.send = proactor.Op{Kind: proactor.OpSend, Handle: x.h, Owner: x, Buf: []byte(text)}
	x.l.Submit(&x.send)
	x.w.until("sent", time.Minute, func() bool { return !x.send.Active() })
}

// hears waits until all that was received is text.
func (x *hand) hears(text string) {
	x.w.t.Helper()
	x.w.until("heard "+text, time.Minute, func() bool { return string(x.got) == text })
}

// finish ends the stream.
func (x *hand) finish() {
	if err := x.l.Sockets().Shutdown(x.h); err != nil {
		x.w.t.Error(err)
	}
}

// hearsEnd waits for the other side's end.
func (x *hand) hearsEnd() {
	x.w.t.Helper()
	x.w.until("heard the end", time.Minute, func() bool { return x.end != nil })
	if x.end != io.EOF {
		x.w.t.Errorf("heard %v, want the end", x.end)
	}
}

// hearsReset waits for a reset.
func (x *hand) hearsReset() {
	x.w.t.Helper()
	x.w.until("heard a reset", time.Minute, func() bool { return x.end != nil })
	if x.end == io.EOF {
		x.w.t.Errorf("heard an end, want a reset")
	}
}

// drop closes, with a reset if asked for.
func (x *hand) drop(reset bool) {
	x.w.t.Helper()
	x.l.Cancel(&x.recv)
	x.w.until("idle", time.Minute, func() bool { return !x.recv.Active() && !x.send.Active() })
	if reset {
		x.l.Sockets().Reset(x.h)
	}
	x.l.Sockets().CloseFD(x.h)
}

// report waits for the n-th report, counted from 1, and checks its reason and side.
func (w *world) report(n int, reason Reason, side Side) Report {
	w.t.Helper()
	w.until("reported", 2*time.Hour, func() bool { return len(w.reports) >= n })
	r := w.reports[n-1]
	if r.Reason != reason || r.Side != side {
		w.t.Errorf("report %d says %v by %v (%v), want %v by %v", n, r.Reason, r.Side, r.Err, reason, side)
	}
	return r
}
