package sim

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"mobius/internal/invariant"
	"mobius/proactor"
)

// everything is a run in which every kind of op has a part.
func everything(n *Net) error {
	n.o.Spawn, n.o.Limit = cat, 2*time.Hour
	if err := echoRun(n, loopback, 2, 3000); err != nil {
		return err
	}
	b := must(n.Open())
	defer b.Crash()
	x, y := n.Pair()
	hx, hy := must(b.Adopt(x)), must(b.Adopt(y))
	v, z := n.Pair()
	hv, hz := must(b.Adopt(v)), must(b.Adopt(z))
	relay := &proactor.Relay{Dst: hv, Head: []byte("head")}
	file := n.File()
	pin := &pinner{b: b}
	pin.Owner = pin
	ops := []*probe{
		start(b, proactor.Op{Kind: proactor.OpSend, Handle: hx, Buf: sample(500), Pin: &pin.Pin}),
		start(b, proactor.Op{Kind: proactor.OpRelay, Handle: hy, Relay: relay}),
		start(b, proactor.Op{Kind: proactor.OpRecv, Handle: hz, Limit: 504, Msg: &proactor.Msg{}}),
		start(b, proactor.Op{Kind: proactor.OpPoll, Handle: hx, Events: proactor.Writable}),
		start(b, proactor.Op{Kind: proactor.OpWork, Func: func() {}}),
		start(b, proactor.Op{Kind: proactor.OpSend, Handle: hz, Buf: []byte("x"), Msg: &proactor.Msg{Files: []int{file}}}),
	}
	n.CloseFile(file)
	ops[0].on = func() { b.Shutdown(hx) }
	ops = append(ops, datagrams(n, b)...)
	if h, pipes, err := b.Spawn(catCommand); err == nil {
		in, out := recv(b, pipes[1]), send(b, pipes[0], "child")
		in.on = func() {
			if len(in.bytes) == 5 && !out.Active() {
				b.CloseFD(pipes[0]) // the second time nothing happens
			}
		}
		out.on = in.on
		ops = append(ops, start(b, proactor.Op{Kind: proactor.OpChild, Handle: h}), in, out)
	}
	return n.Until(func() bool {
		for _, p := range ops {
			if p.Active() {
				return false
			}
		}
		return len(pin.released) == 1
	})
}

// datagrams sends some, and asks for them; what was lost nobody waits for.
func datagrams(n *Net, b *Backend) (ops []*probe) {
	from, _, err := b.Packet(udp, nil)
	if err != nil {
		return nil
	}
	to, dst, err := b.Packet(udp, &proactor.SocketOptions{SegmentedReceive: proactor.On})
	if err != nil {
		return nil
	}
	receive(b, to)
	for i := range 20 {
		m := &proactor.Msg{SegmentSize: i}
		ops = append(ops, sendTo(b, from, dst, strings.Repeat("x", i*3), m))
	}
	return ops
}

// One seed is one run: a thousand seeds, each of them twice.
func TestSameSeedSameTrace(t *testing.T) {
	runs, different := 0, map[uint64]bool{}
	Run(t, 1000, func(t *T) {
		var hashes [2]uint64
		for i := range hashes {
			n := t.Net(Options{})
			if err := everything(n); err != nil {
				t.Fatal(err)
			}
			hashes[i] = n.TraceHash()
		}
		if hashes[0] != hashes[1] {
			t.Fatalf("trace %x, then %x", hashes[0], hashes[1])
		}
		runs++
		different[hashes[0]] = true
	})
	if len(different) < runs*3/4 { // one in eight has no faults: those are all alike
		t.Errorf("%d different traces of %d seeds", len(different), runs)
	}
}

// One seed a thousand times over.
func TestSeedRepeats(t *testing.T) {
	var want uint64
	for i := range 1000 {
		n := New(Options{Seed: 15})
		if err := everything(n); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want = n.TraceHash()
		}
		if n.TraceHash() != want {
			t.Fatalf("run %d: trace %x, want %x", i, n.TraceHash(), want)
		}
	}
}

// The hash sees what the program does, and the bytes.
func TestTraceHashSeesDifferences(t *testing.T) {
	hash := func(data string, wait time.Duration) uint64 {
		w := quiet(t, 1)
		x, y := w.net.Pair()
		hx, hy := must(w.hosts[0].Adopt(x)), must(w.hosts[0].Adopt(y))
		in := recv(w.hosts[0], hx)
		w.pass(wait)
		send(w.hosts[0], hy, data)
		w.until(func() bool { return len(in.bytes) == len(data) })
		return w.net.TraceHash()
	}
	base := hash("hello", time.Second)
	if hash("hello", time.Second) != base {
		t.Error("the same run has another hash")
	}
	if hash("hellp", time.Second) == base || hash("hello", 2*time.Second) == base {
		t.Error("another run has the same hash")
	}
}

func TestTraceIsReadable(t *testing.T) {
	var text bytes.Buffer
	if err := everything(New(Options{Seed: 3, Trace: &text})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"connect: backend 1, connect on handle 0#1", "backend 0: accept on handle", "arrive: handle", "fin: handle", "EOF, more false",
		fmt.Sprintf("%14v  ", 51*time.Microsecond),
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in the trace:\n%.4000s", want, text.String())
		}
	}
}

// Five thousand whole runs, each with its own faults; every kind of fault there
// is must have happened.
func TestSweep(t *testing.T) {
	seeds := 5000
	if invariant.Enabled { // the race detector makes it ten times slower
		seeds = 1000
	}
	Run(t, seeds, func(t *T) {
		if err := everything(t.Net(Options{})); err != nil {
			t.Fatal(err)
		}
	}, AllFaults()...)
}
