package loop

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"mobius/internal/invariant"
)

// model is what timers shall do, without a heap.
type model struct {
	seq   int
	armed map[int][2]int // timer → deadline, sequence
}

func (m *model) arm(id int, at time.Duration) {
	m.seq++
	m.armed[id] = [2]int{int(at), m.seq}
}

// due returns the timers due at now, in order, and takes them out.
func (m *model) due(now time.Duration) []int {
	var ids []int
	for id, k := range m.armed {
		if k[0] <= int(now) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b int) int {
		x, y := m.armed[a], m.armed[b]
		return slices.Compare(x[:], y[:])
	})
	for _, id := range ids {
		delete(m.armed, id)
	}
	return ids
}

// Random starts, stops, resets and delays against the model.
func TestTimersAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		l, f := setup(t, Options{})
		m := &model{armed: map[int][2]int{}}
		var fired []int
		timers := make([]Timer, 40)
		for i := range timers {
			timers[i].Func = func() { fired = append(fired, i) }
		}
		for step := range 300 {
			id := rnd.IntN(len(timers))
			tm, d := &timers[id], time.Duration(rnd.IntN(30)-5)
			_, armed := m.armed[id]
			now := l.Now()
			var did bool
			op := rnd.IntN(6)
			switch op {
			case 0, 1:
				l.Start(tm, d)
				m.arm(id, now+max(d, 0))
				did = armed
			case 2:
				did = tm.Reset(d)
				if armed {
					m.arm(id, now+max(d, 0))
				}
			case 3:
				did = tm.Delay(d)
				if armed {
					m.arm(id, max(time.Duration(m.armed[id][0])+d, now))
				}
			case 4:
				did = tm.Stop()
				delete(m.armed, id)
			case 5:
				fired = fired[:0]
				did = armed
				if err := l.Iterate(time.Duration(rnd.IntN(6))); err != nil {
					t.Fatal(err)
				}
				if want := m.due(f.clock); !slices.Equal(fired, want) {
					t.Fatalf("seed %d step %d: fired %v, want %v", seed, step, fired, want)
				}
			}
			if did != armed || tm.Active() != (m.armed[id] != [2]int{}) {
				t.Fatalf("seed %d step %d: op %d on %d said %v, was armed %v, is active %v", seed, step, op, id, did, armed, tm.Active())
			}
		}
	}
}

func TestEqualDeadlinesAreFirstInFirstOut(t *testing.T) {
	l, _ := setup(t, Options{})
	var got []int
	timers := make([]Timer, 100)
	for i := range timers {
		timers[i].Func = func() { got = append(got, i) }
		l.Start(&timers[i], time.Second)
	}
	timers[7].Reset(time.Second) // armed again: now the last
	turn(t, l)
	turn(t, l)
	if len(got) != 100 || got[99] != 7 || !slices.IsSorted(got[:99]) {
		t.Fatalf("order %v", got)
	}
}

// The wait is until the next deadline as it is now, not as it was.
func TestWaitFollowsTimers(t *testing.T) {
	l, f := setup(t, Options{})
	var a Timer
	a.Func = func() {}
	poll := func(want time.Duration) {
		t.Helper()
		f.blocking = false
		f.ready = []func(){func() {}} // no time passes
		turn(t, l)
		if got := f.waits[len(f.waits)-1]; got != want {
			t.Fatalf("poll waited for %v, want %v", got, want)
		}
	}
	poll(-1)
	l.Start(&a, time.Minute)
	poll(time.Minute)
	a.Reset(2 * time.Minute)
	poll(2 * time.Minute)
	a.Delay(-time.Minute)
	poll(time.Minute)
	a.Delay(time.Second)
	poll(61 * time.Second)
	l.Start(&a, 0)
	if !a.Stop() || a.Stop() {
		t.Fatal("Stop")
	}
	poll(-1)
}

func TestDistantTimer(t *testing.T) {
	l, f := setup(t, Options{})
	fired := 0
	var far, near Timer
	far.Func, near.Func = func() { t.Error("the far one fired") }, func() { fired++ }
	f.clock = time.Hour
	l.Start(&far, math.MaxInt64)
	far.Delay(math.MaxInt64)
	if far.Deadline() != math.MaxInt64 {
		t.Fatalf("deadline %v overflowed", far.Deadline())
	}
	turn(t, l)
	if w := f.waits[0]; w != longestPoll {
		t.Fatalf("poll waited for %v, want %v", w, longestPoll)
	}
	l.Start(&near, time.Second)
	turn(t, l)
	if fired != 1 {
		t.Fatal("the near timer did not fire")
	}
}

// A timer's own function sees it as spent, and may start it again.
func TestTimerInsideItsOwnFunction(t *testing.T) {
	l, _ := setup(t, Options{})
	runs := 0
	var a Timer
	a.Func = func() {
		if a.Active() || a.Stop() || a.Reset(0) || a.Delay(0) {
			t.Error("armed inside its own function")
		}
		if runs++; runs < 3 {
			l.Start(&a, 0)
		}
	}
	l.Start(&a, 0)
	for want := 1; want <= 3; want++ {
		turn(t, l)
		if runs != want {
			t.Fatalf("ran %d times in %d turns", runs, want)
		}
	}
}

// A due timer that an earlier one of the same phase stops does not run; one
// that it puts off runs later.
func TestTimersChangeOthersThatAreDue(t *testing.T) {
	l, _ := setup(t, Options{})
	var got []string
	var a, b, c, d Timer
	a.Func = func() { got = append(got, "a"); b.Stop(); c.Delay(time.Second); d.Reset(0) }
	b.Func = func() { got = append(got, "b") }
	c.Func = func() { got = append(got, "c") }
	d.Func = func() { got = append(got, "d") }
	for _, tm := range []*Timer{&a, &b, &c, &d} {
		l.Start(tm, 0)
	}
	turn(t, l)
	if want := []string{"a"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("first turn %v, want %v", got, want)
	}
	turn(t, l)
	turn(t, l)
	if want := []string{"a", "d", "c"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("all %v, want %v", got, want)
	}
}

type expirer struct{ n int }

func (e *expirer) Expire(*Timer) { e.n++ }

func TestTimerOwner(t *testing.T) {
	l, _ := setup(t, Options{})
	e := &expirer{}
	l.Start(&Timer{Owner: e}, 0)
	turn(t, l)
	if e.n != 1 {
		t.Fatalf("expired %d times", e.n)
	}
}

func TestStoppedTimersReleaseTheirOwners(t *testing.T) {
	l, _ := setup(t, Options{})
	var a, b Timer
	l.Start(&a, 1)
	l.Start(&b, 2)
	a.Stop()
	if e := l.timers.entries[:2]; e[1].t != nil || e[0].t != &b {
		t.Fatal("the heap keeps a stopped timer alive")
	}
}

// counter counts what fires and sees that it comes in order.
type counter struct {
	t    *testing.T
	n    int
	last *Timer
}

func (c *counter) Expire(t *Timer) {
	if c.last != nil && (t.at < c.last.at || t.at == c.last.at && t.seq < c.last.seq) {
		c.t.Fatalf("timer %d fired out of order", c.n)
	}
	c.last = t
	c.n++
}

func TestMillionTimers(t *testing.T) {
	n := 1_000_000
	if invariant.Enabled {
		n /= 20 // each arming is checked, which costs more than the arming
	}
	begin := time.Now()
	l, _ := setup(t, Options{})
	c := &counter{t: t}
	timers := make([]Timer, n)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range timers {
		timers[i].Owner = c
		l.Start(&timers[i], time.Duration(rnd.IntN(1000))*time.Millisecond)
	}
	for range n { // put off, bring forward, start anew
		timers[rnd.IntN(n)].Reset(time.Duration(rnd.IntN(2000)) * time.Millisecond)
	}
	stopped := 0
	for i := 0; i < n; i += 3 {
		timers[i].Stop()
		stopped++
	}
	for l.timers.len() > 0 {
		turn(t, l)
	}
	if c.n != n-stopped {
		t.Fatalf("%d fired, want %d", c.n, n-stopped)
	}
	t.Logf("%d timers started, as many reset, a third stopped, the rest fired in %v", n, time.Since(begin))
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("took %v", took)
	}
}

func TestArmingAllocatesNothing(t *testing.T) {
	uncheckedOnly(t)
	l, _ := setup(t, Options{})
	timers := make([]Timer, 1000)
	for i := range timers {
		l.Start(&timers[i], time.Duration(i))
	}
	i := 0
	if allocs := testing.AllocsPerRun(2000, func() {
		a := &timers[i%len(timers)]
		a.Stop()
		l.Start(a, time.Duration(i%77))
		a.Reset(time.Second)
		a.Delay(-time.Millisecond)
		i++
	}); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func BenchmarkTimers(b *testing.B) {
	for _, n := range []int{100, 10_000, 1_000_000} {
		timers := make([]Timer, n)
		l := New(newFake(), Options{})
		rnd := rand.New(rand.NewPCG(1, 2))
		for i := range timers {
			l.Start(&timers[i], time.Duration(rnd.Int64N(int64(time.Hour))))
		}
		b.Run(fmt.Sprintf("start+stop/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				a := &timers[i%n]
				a.Stop()
				l.Start(a, time.Duration(rnd.Int64N(int64(time.Hour))))
			}
		})
		b.Run(fmt.Sprintf("put-off/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				timers[i%n].Reset(time.Hour + time.Duration(i))
			}
		})
	}
}
