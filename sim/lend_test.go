package sim

import (
	"bytes"
	"testing"
	"time"

	"mobius/proactor"
)

// A keeper holds what its recv lends.
type keeper struct {
	*probe
	holds []*proactor.Hold
	asked []*proactor.Hold
	give  bool // gives back what it is asked for
}

func keep(b *Backend, h proactor.Handle, give bool) *keeper {
	k := &keeper{probe: &probe{b: b, Op: proactor.Op{Kind: proactor.OpRecv, Handle: h}}, give: give}
	k.Owner = k
	k.on = func() {
		if k.More {
			k.holds = append(k.holds, b.Hold(&k.Op, k))
		}
	}
	b.Submit(&k.Op)
	return k
}

func (k *keeper) Evict(h *proactor.Hold) {
	k.asked = append(k.asked, h)
	if k.give {
		h.Release()
	}
}

func TestLentBytesAreScribbledOver(t *testing.T) {
	w := quiet(t, 2)
	a, b := w.stream(loopback, nil)
	in := recv(w.hosts[1], b)
	var lent []byte
	in.on = func() { lent = in.Buf }
	w.until(send(w.hosts[0], a, "secret").done)
	w.until(func() bool { return in.pieces == 1 })
	if !bytes.Equal(lent, bytes.Repeat([]byte{scribble}, 6)) {
		t.Fatalf("%q can still be read after Complete", lent)
	}
	if in.Buf != nil {
		t.Fatal("Buf is still set")
	}
	w.hosts[1].Cancel(&in.Op)
	w.until(in.done)
	k := keep(w.hosts[1], b, false)
	w.until(send(w.hosts[0], a, "secret").done)
	w.until(func() bool { return len(k.holds) == 1 })
	lent = k.holds[0].Bytes
	w.until(send(w.hosts[0], a, "more").done)
	w.until(func() bool { return len(k.holds) == 2 })
	if string(lent) != "secret" {
		t.Fatalf("%q is held", lent)
	}
	k.holds[0].Release()
	w.pass(time.Second)
	if lent[0] != scribble || lent[5] != scribble {
		t.Fatalf("%q after Release", lent)
	}
}

// Those who find no buffer are served in the order in which they came.
func TestStarvedAreServedInOrder(t *testing.T) {
	w := on(t, Options{Faults: NoFaults, Buffers: 2, Holds: 2}, 1)
	b := w.hosts[0]
	var order []int
	var from []proactor.Handle
	var all []*keeper
	for i := range 6 {
		x, y := w.stream(loopback, nil)
		k := keep(b, y, false)
		hold := k.on
		k.on = func() { hold(); order = append(order, i) }
		from, all = append(from, x), append(all, k)
	}
	for _, i := range []int{3, 1, 0, 5, 4, 2} {
		w.until(send(b, from[i], "x").done)
		w.pass(time.Second)
	}
	if len(order) != 2 || b.Stats().Starved != 4 || len(all[3].asked)+len(all[1].asked) != 2 {
		t.Fatalf("%d served, %d starved, %d asked", len(order), b.Stats().Starved, len(all[3].asked)+len(all[1].asked))
	}
	for len(order) < 6 {
		served := len(order)
		all[order[served-2]].holds[0].Release()
		w.until(func() bool { return len(order) > served })
		w.pass(time.Second)
	}
	for i, want := range []int{3, 1, 0, 5, 4, 2} {
		if order[i] != want {
			t.Fatalf("served in the order %v", order)
		}
	}
}

func TestCapOnHolds(t *testing.T) {
	w := on(t, Options{Faults: NoFaults, Buffers: 10, Holds: 3}, 1)
	b := w.hosts[0]
	x, y := w.stream(loopback, nil)
	k := keep(b, y, true)
	for range 10 {
		w.until(send(b, x, "x").done)
		w.pass(time.Second)
	}
	if len(k.holds) != 10 || len(k.asked) != 7 || b.Stats().Evicted != 7 || b.Stats().Holds != 3 {
		t.Fatalf("%d holds made, %d asked back, %d live", len(k.holds), len(k.asked), b.Stats().Holds)
	}
	for i, h := range k.asked[:3] {
		if h != k.holds[i] {
			t.Fatal("not the oldest first")
		}
	}
}

// A pinner lends memory to a zero-copy Send.
type pinner struct {
	proactor.Pin
	released []time.Duration
	copied   int
	b        *Backend
}

func (p *pinner) Released(_ *proactor.Pin, copied bool) {
	p.released = append(p.released, p.b.Now())
	if copied {
		p.copied++
	}
}

func TestPins(t *testing.T) {
	w := on(t, Options{Faults: NoFaults.Set(0.5, LatePin)}, 1)
	b := w.hosts[0]
	x, y := w.stream(loopback, nil)
	in := recv(b, y)
	late, busy := 0, 0
	p := &pinner{b: b}
	p.Owner = p
	for i := range 40 {
		op := start(b, proactor.Op{Kind: proactor.OpSend, Handle: x, Buf: sample(1000), Pin: &p.Pin})
		w.until(op.done)
		if len(p.released) == i {
			late++
			if b.CloseFD(x) == proactor.ErrBusy {
				busy++
			}
			before := w.net.Now()
			w.until(func() bool { return len(p.released) == i+1 })
			if w.net.Now() == before {
				t.Fatal("a late pin came at once")
			}
		}
	}
	w.pass(time.Second)
	s := b.Stats()
	if len(p.released) != 40 || late < 10 || busy != late || uint64(late) != w.net.Fired(LatePin) {
		t.Errorf("%d released, %d late, CloseFD was refused %d times", len(p.released), late, busy)
	}
	if s.Copied != uint64(p.copied) || s.ZeroCopied+s.Copied != 40 || s.ZeroCopied == 0 {
		t.Errorf("%d told as copied; counted %d copied, %d not", p.copied, s.Copied, s.ZeroCopied)
	}
	if len(in.bytes) != 40_000 {
		t.Errorf("%d bytes", len(in.bytes))
	}
}

// Memory that changes while the kernel may read it is found out.
func TestPinnedMemoryMustNotChange(t *testing.T) {
	w := on(t, Options{Faults: NoFaults.Set(1, LatePin)}, 1)
	x, _ := w.stream(loopback, nil)
	p := &pinner{b: w.hosts[0]}
	p.Owner = p
	op := start(w.hosts[0], proactor.Op{Kind: proactor.OpSend, Handle: x, Buf: sample(1000), Pin: &p.Pin})
	w.until(op.done)
	op.Buf[500]++
	defer func() {
		if recover() == nil {
			t.Error("nobody noticed")
		}
	}()
	w.until(func() bool { return len(p.released) > 0 })
}

func TestClosedBackendReleasesPins(t *testing.T) {
	w := on(t, Options{Faults: NoFaults.Set(1, LatePin)}, 2)
	x, _ := w.stream(loopback, nil)
	p := &pinner{b: w.hosts[0]}
	p.Owner = p
	op := start(w.hosts[0], proactor.Op{Kind: proactor.OpSend, Handle: x, Buf: sample(1000), Pin: &p.Pin})
	w.until(op.done)
	w.hosts[0].Close()
	if len(p.released) != 1 {
		t.Errorf("released %d times", len(p.released))
	}
}
