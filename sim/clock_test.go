package sim

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"mobius/proactor"
)

func TestTimeMovesOnlyInPolls(t *testing.T) {
	w := quiet(t, 1)
	b := w.hosts[0]
	for _, timeout := range []time.Duration{time.Millisecond, time.Hour, 25 * 24 * time.Hour} {
		before := b.Now()
		if err := b.Poll(timeout); err != nil || b.Now()-before != timeout {
			t.Fatalf("Poll(%v): %v, took %v", timeout, err, b.Now()-before)
		}
	}
	b.Wake()
	before := b.Now()
	if err := b.Poll(-1); err != nil || b.Now()-before > time.Microsecond {
		t.Fatalf("woken: %v, took %v", err, b.Now()-before)
	}
	b.Wake()
	if err := b.Poll(math.MaxInt64); err != nil || b.Stats().Woken != 2 {
		t.Fatal(err)
	}
}

// A program that polls without waiting does not stop the clock.
func TestPollsThatDoNotWaitTakeTime(t *testing.T) {
	w := quiet(t, 1)
	polls := 0
	for w.net.Now() < 5*time.Second {
		if err := w.hosts[0].Poll(0); err != nil {
			t.Fatal(err)
		}
		polls++
	}
	if polls > 6000 {
		t.Errorf("%d polls for 5 s", polls)
	}
}

// ticks counts how often a host's own timer is due.
type ticks struct {
	b     *Backend
	every time.Duration
	next  time.Duration
	times []time.Duration
}

// turn is one turn of a loop with a timer: poll until it is due.
func (k *ticks) turn(t *testing.T) {
	if err := k.b.Poll(max(0, k.next-k.b.Now())); err != nil {
		t.Fatal(err)
	}
	if now := k.b.Now(); now >= k.next {
		k.times = append(k.times, now)
		k.next += k.every
	}
}

// With several hosts driven in turn, each one's timeouts end when they should,
// whatever the others wait for.
func TestHostsShareOneClock(t *testing.T) {
	w := quiet(t, 3)
	hosts := []*ticks{
		{b: w.hosts[0], every: 7 * time.Millisecond, next: 7 * time.Millisecond},
		{b: w.hosts[1], every: 30 * time.Millisecond, next: 30 * time.Millisecond},
		{b: w.hosts[2], every: time.Second, next: time.Second},
	}
	for w.net.Now() < 10*time.Second {
		for _, k := range hosts {
			k.turn(t)
		}
	}
	for _, k := range hosts {
		if want := int(10 * time.Second / k.every); len(k.times) < want-1 {
			t.Errorf("every %v: %d times, want %d", k.every, len(k.times), want)
		}
		for i, at := range k.times {
			if due := time.Duration(i+1) * k.every; at != due {
				t.Fatalf("every %v: number %d came at %v", k.every, i, at)
			}
		}
	}
}

// A host that nobody polls does not keep the others from going on.
func TestAbandonedHost(t *testing.T) {
	w := quiet(t, 2)
	_, at := must2(w.hosts[1].Listen(loopback, nil))
	if err := w.hosts[1].Poll(time.Millisecond); err != nil {
		t.Fatal(err)
	}
	p := dial(w.hosts[0], at)
	for i := 0; !p.done(); i++ {
		if err := w.hosts[0].Poll(-1); err != nil || i > 10 {
			t.Fatalf("after %d polls: %v", i, err)
		}
	}
}

func TestDeadlockNamesEveryOp(t *testing.T) {
	w := on(t, Options{Seed: 42, Faults: NoFaults, Buffers: 1}, 2)
	a, b := w.stream(loopback, nil)
	c, d := w.stream(loopback, nil)
	h, _ := must2(w.hosts[1].Listen(proactor.UnixAddress("/run/x"), nil))
	accept(w.hosts[1], h)
	recv(w.hosts[0], a)
	send(w.hosts[0], a, string(sample(1_000_000)))
	keep(w.hosts[1], b, false)
	recv(w.hosts[1], d)
	send(w.hosts[0], c, "no buffer for this")
	err := w.net.Until(func() bool { return false })
	var dead *Deadlock
	if !errors.As(err, &dead) {
		t.Fatalf("%v", err)
	}
	if len(dead.Ops) != 5 || dead.Seed != 42 || dead.At != w.net.Now() || dead.Late {
		t.Errorf("%+v", dead)
	}
	for _, want := range []string{
		"seed 42", "5 ops wait", "backend 1: accept on handle", "(listens on /run/x), owner *sim.probe",
		"backend 0: recv on handle 0#1 (127.0.0.1:32769 to 127.0.0.1:32768)", "backend 0: send on handle 0#1",
		"bytes left", "starved of buffers", "owner *sim.keeper",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestLimitOfTime(t *testing.T) {
	w := on(t, Options{Faults: NoFaults, Limit: time.Minute}, 1)
	var dead *Deadlock
	for i := 0; dead == nil; i++ { // busy, but it does not get on
		if err := w.hosts[0].Poll(time.Second); err != nil && !errors.As(err, &dead) || i > 61 {
			t.Fatalf("after %v: %v", w.net.Now(), err)
		}
	}
	if !dead.Late || !strings.Contains(dead.Error(), "limit of time") {
		t.Error(dead)
	}
}

func TestLeaksAreNamed(t *testing.T) {
	w := quiet(t, 2)
	a, b := w.stream(loopback, nil)
	if err := w.net.Leaks(); err == nil || strings.Count(err.Error(), "open handle") != 2 {
		t.Errorf("two open handles: %v", err)
	}
	k := keep(w.hosts[1], b, false)
	w.until(send(w.hosts[0], a, "x").done)
	w.until(func() bool { return len(k.holds) == 1 })
	w.net.File()
	w.hosts[1].Close()
	w.hosts[1].Close()
	err := w.net.Leaks()
	for _, want := range []string{
		"backend 1: recv on handle", "backend 1: 1 holds", "backend 1: open handle", "backend 0: open handle", "1 virtual",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if k.Active() || k.lasts != 0 {
		t.Error("Close completed an op to its owner, or left it active")
	}
	if w.hosts[1].Poll(0) != proactor.ErrClosed {
		t.Error("Poll after Close")
	}
}

func TestPollFromAnotherGoroutine(t *testing.T) {
	w := quiet(t, 1)
	w.pass(time.Second)
	got := make(chan error)
	go func() { got <- w.hosts[0].Poll(0) }()
	if err := <-got; err != proactor.ErrWrongThread && err != nil { // nil: it ran on the same thread
		t.Error(err)
	}
}

func TestPollInsideComplete(t *testing.T) {
	w := quiet(t, 1)
	p := start(w.hosts[0], proactor.Op{Kind: proactor.OpRecv})
	p.on = func() { w.hosts[0].Poll(0) }
	defer func() {
		if recover() == nil {
			t.Error("Poll inside Complete went unnoticed")
		}
	}()
	w.until(p.done)
}
