package sim

import (
	"io"
	"testing"
	"time"

	"mobius/proactor"
)

// A Cancel may take a while, during which results are still delivered; a recv
// after it goes on with exactly what they left.
func TestStragglers(t *testing.T) {
	late := 0
	for seed := range uint64(50) {
		w := on(t, Options{Seed: seed, Faults: NoFaults.Set(1, Straggle).Set(0.5, Cut, Jitter)}, 2)
		a, b := w.stream(loopback, nil)
		data := sample(10_000)
		out := start(w.hosts[0], proactor.Op{Kind: proactor.OpSend, Handle: a, Buf: data[:5000]})
		in := recv(w.hosts[1], b)
		w.until(func() bool { return len(in.bytes) > 0 })
		before := len(in.bytes)
		w.hosts[1].Cancel(&in.Op)
		w.until(func() bool { return in.done() && out.done() })
		if in.err != proactor.ErrCanceled || in.lasts != 1 {
			t.Fatalf("%v, %d times", in.err, in.lasts)
		}
		late += len(in.bytes) - before
		start(w.hosts[0], proactor.Op{Kind: proactor.OpSend, Handle: a, Buf: data[5000:]})
		rest := recv(w.hosts[1], b)
		w.until(func() bool { return len(in.bytes)+len(rest.bytes) == len(data) })
		wantBytes(t, append(in.bytes, rest.bytes...), data)
	}
	if late == 0 {
		t.Error("no bytes came after a Cancel")
	}
}

// A Cancel without Straggle ends a recv in the next Poll.
func TestCancelIsSoon(t *testing.T) {
	w := quiet(t, 1)
	_, b := w.stream(loopback, nil)
	in := recv(w.hosts[0], b)
	w.hosts[0].Cancel(&in.Op)
	w.hosts[0].Cancel(&in.Op)
	if in.done() {
		t.Fatal("it completed inside Cancel")
	}
	if err := w.hosts[0].Poll(0); err != nil || !in.done() || in.err != proactor.ErrCanceled || in.lasts != 1 {
		t.Fatalf("%v, %v", err, in.err)
	}
	w.hosts[0].Cancel(&in.Op) // of an idle op: nothing
	w.hosts[0].Resume(&in.Op) // of an idle op: a Submit
	w.hosts[0].Resume(&in.Op) // of an active op: nothing
	if err := w.hosts[0].Poll(0); err != nil || in.done() {
		t.Fatalf("%v, %v", err, in.err)
	}
}

// A Resume takes back a Cancel that has not been told yet, whether it was slow
// or has happened.
func TestResumeDuringCancel(t *testing.T) {
	for _, f := range []*Faults{NoFaults, NoFaults.Set(1, Straggle)} {
		w := on(t, Options{Faults: f}, 2)
		a, b := w.stream(loopback, nil)
		in := recv(w.hosts[1], b)
		for i := range 20 {
			w.hosts[1].Cancel(&in.Op)
			if i%2 == 0 {
				w.hosts[1].Resume(&in.Op)
				w.hosts[1].Cancel(&in.Op)
			}
			w.hosts[1].Resume(&in.Op)
			w.until(send(w.hosts[0], a, "x").done)
			w.pass(time.Duration(longDelay)) // what is left of the Cancel finds nothing to do
		}
		w.close(w.hosts[0], a)
		w.until(in.done)
		if in.lasts != 1 || in.err != io.EOF || len(in.bytes) != 20 {
			t.Fatalf("%d ends, %v, %d bytes", in.lasts, in.err, len(in.bytes))
		}
	}
}

// Multishots that end early are started again, and nobody sees it.
func TestEndEarly(t *testing.T) {
	w := on(t, Options{Faults: NoFaults.Set(1, EndEarly)}, 2)
	h, at := must2(w.hosts[1].Listen(loopback, nil))
	in := accept(w.hosts[1], h)
	for range 5 {
		w.until(dial(w.hosts[0], at).done)
	}
	w.until(func() bool { return len(in.conns) == 5 })
	if in.lasts != 0 || w.hosts[1].Stats().Rearmed != 5 || w.net.Fired(EndEarly) != 5 {
		t.Errorf("%d ends, armed again %d times", in.lasts, w.hosts[1].Stats().Rearmed)
	}
}

// Each harmless fault happens and changes nothing but times and pieces.
func TestHarmlessFaults(t *testing.T) {
	for _, fault := range AllFaults() {
		if !fault.Harmless() || fault == LatePin || fault == Join || fault == SmallBatch {
			continue // these have tests of their own
		}
		w := on(t, Options{Seed: 1, Faults: NoFaults.Set(0.5, fault)}, 2)
		data := sample(200_000)
		for range 5 { // Stall happens once to a connection
			a, b := w.stream(loopback, nil)
			out := start(w.hosts[0], proactor.Op{Kind: proactor.OpSend, Handle: a, Buf: data})
			in := recv(w.hosts[1], b)
			w.until(out.done)
			w.close(w.hosts[0], a)
			w.until(in.done)
			wantBytes(t, in.bytes, data)
			if in.err != io.EOF || out.n != len(data) {
				t.Errorf("%v: %v, %d", fault, in.err, out.n)
			}
			w.close(w.hosts[1], b)
		}
		if w.net.Fired(fault) < 3 {
			t.Errorf("%v fired %d times", fault, w.net.Fired(fault))
		}
		w.end()
	}
}

// A harmless fault that happens on every occasion still lets things end.
func TestCertainFaults(t *testing.T) {
	for _, fault := range AllFaults() {
		if !fault.Harmless() {
			continue
		}
		w := on(t, Options{Seed: 1, Faults: NoFaults.Set(1, fault)}, 2)
		a, b := w.stream(loopback, nil)
		data := sample(2000)
		out := start(w.hosts[0], proactor.Op{Kind: proactor.OpSend, Handle: a, Buf: data})
		in := recv(w.hosts[1], b)
		deadline := w.net.Now() + time.Minute
		w.until(func() bool { return out.done() && len(in.bytes) == len(data) || w.net.Now() > deadline })
		wantBytes(t, in.bytes, data)
		w.hosts[1].Cancel(&in.Op)
		w.until(in.done)
		w.close(w.hosts[0], a)
		w.close(w.hosts[1], b)
		w.pass(time.Minute)
		w.end()
	}
}

// A Poll may deliver only some of what is there.
func TestSmallBatch(t *testing.T) {
	for rate, want := range []int{1, 2} {
		w := on(t, Options{Faults: NoFaults.Set(float64(rate), SmallBatch)}, 1)
		var all []*probe
		for range 50 {
			all = append(all, start(w.hosts[0], proactor.Op{Kind: proactor.OpRecv}))
		}
		polls := 0
		for ; !all[49].done(); polls++ {
			if err := w.hosts[0].Poll(-1); err != nil {
				t.Fatal(err)
			}
		}
		if polls < want || rate == 0 && polls != 1 {
			t.Errorf("%d polls at rate %d", polls, rate)
		}
	}
}

// A network that is healed has no more faults.
func TestHeal(t *testing.T) {
	w := on(t, Options{Faults: NoFaults.Set(1, Refuse)}, 2)
	_, at := must2(w.hosts[1].Listen(loopback, nil))
	bad := dial(w.hosts[0], at)
	w.until(bad.done)
	w.net.Heal()
	good := dial(w.hosts[0], at)
	w.until(good.done)
	if bad.err == nil || good.err != nil || w.net.Faults().Rate(Refuse) != 0 {
		t.Errorf("%v, then %v", bad.err, good.err)
	}
	w.pass(time.Second)
}

// Once the last byte of a Send was taken, neither a Cancel nor a reset that
// comes before its completion makes a failure of it.
func TestTakenSendSucceeds(t *testing.T) {
	for _, reset := range []bool{true, false} {
		w := on(t, Options{Seed: 3, Faults: NoFaults.Set(1, Delay)}, 1)
		b := w.hosts[0]
		x, y := w.stream(loopback, nil)
		out := send(b, x, "bytes")
		for out.B.Done < 5 { // by small steps: a Poll without a limit would go on to the completion
			w.pass(10 * time.Microsecond)
		}
		switch {
		case out.done():
			t.Fatal("the completion was not delayed")
		case reset:
			b.Reset(y)
			w.close(b, y)
			for b.sock(x).link != broken {
				w.pass(10 * time.Microsecond)
			}
			if out.done() {
				t.Fatal("the completion came before the reset")
			}
		default:
			b.Cancel(&out.Op)
		}
		w.until(out.done)
		if out.n != 5 || out.err != nil {
			t.Errorf("reset %v: %d, %v", reset, out.n, out.err)
		}
	}
}
