package twisted

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"mobius"
	"mobius/loop"
)

func TestCase33Seconds(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		when(t, r, func() {
			before, now := r.Seconds(), r.Now()
			r.CallLater(2*time.Millisecond, func() {
				if passed := r.Seconds() - before; passed < 0.002 || r.Now()-now < 2*time.Millisecond {
					t.Errorf("%v seconds have passed, and %v, want 2 ms at least", passed, r.Now()-now)
				}
				if got := r.Now().Seconds(); got != r.Seconds() {
					t.Errorf("Now is %v seconds, Seconds %v", got, r.Seconds())
				}
				stop(t, r)
			})
		})
		run(t, r)
	})
}

func TestCase35InjectedClock(t *testing.T) {
	eachClock(t, func(p *play) {
		c := p.r.CallLater(5*time.Second, p.at("called"))
		if c.Time() != 1000*time.Hour+5*time.Second || p.r.Now() != 1000*time.Hour {
			p.Errorf("now is %v, the call at %v", p.r.Now(), c.Time())
		}
		p.pass(10 * time.Second)
		p.expect(p.T, "called at 5s")
	})
}

func TestCase36ResetMovesACall(t *testing.T) {
	eachClock(t, func(p *play) {
		sooner := p.r.CallLater(10*time.Second, p.at("sooner"))
		later := p.r.CallLater(4*time.Second, p.at("later"))
		p.pass(2 * time.Second)
		if !sooner.Reset(time.Second) || !later.Reset(4*time.Second) {
			p.Error("Reset of calls that are to come")
		}
		p.pass(60 * time.Second)
		p.expect(p.T, "sooner at 3s", "later at 6s")
		if sooner.Reset(time.Second) || sooner.Active() || !sooner.Called() {
			p.Error("Reset of a call that was made")
		}
	})
}

func TestCase37CancelledCallIsNotMade(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		c := r.CallLater(0, func() { t.Error("a cancelled call was made") })
		if !c.Active() || !c.Cancel() || c.Active() || c.Called() || c.Cancel() {
			t.Error("Cancel, Active, Called")
		}
		r.CallLater(5*time.Millisecond, func() { stop(t, r) })
		run(t, r)
	})
}

func TestCase39CancelInsideTheCall(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var c *mobius.DelayedCall
		c = r.CallLater(0, func() {
			if c.Cancel() || c.Reset(0) || c.Delay(0) || c.Active() || !c.Called() {
				t.Error("it was called already")
			}
			stop(t, r)
		})
		run(t, r)
	})
}

func TestCase40CancelAfterTheCall(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		c := r.CallLater(0, func() {})
		r.CallLater(time.Millisecond, func() {
			if c.Cancel() || c.Active() || !c.Called() {
				t.Error("it was called already")
			}
			stop(t, r)
		})
		run(t, r)
	})
}

func TestCase41CallsToCome(t *testing.T) {
	eachClock(t, func(p *play) {
		a := p.r.CallLater(3*time.Second, func() {})
		b := p.r.CallLater(time.Second, func() {
			c := p.r.CallLater(time.Second, func() {})
			if got := p.r.DelayedCalls(); !slices.Equal(got, []*mobius.DelayedCall{c, a}) {
				p.Errorf("inside a call: %v", p.times())
			}
		})
		gone := p.r.CallLater(2*time.Second, func() {})
		gone.Cancel()
		p.r.Loops()[0].Start(&loop.Timer{Func: func() {}}, time.Second) // not a DelayedCall
		if got := p.r.DelayedCalls(); !slices.Equal(got, []*mobius.DelayedCall{b, a}) {
			p.Errorf("before: %v", p.times())
		}
		p.pass(time.Second)
		p.pass(5 * time.Second)
		if got := p.r.DelayedCalls(); len(got) != 0 {
			p.Errorf("at the end: %v", p.times())
		}
	})
}

func TestCase43CallStopsReactor(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		r.CallLater(time.Millisecond, func() { stop(t, r) })
		run(t, r)
	})
}

func TestCase44DistantCall(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		for _, d := range []time.Duration{math.MaxInt64, 200 * 365 * 24 * time.Hour, 50 * 24 * time.Hour} {
			r.CallLater(d, func() { t.Errorf("%v have passed", d) })
		}
		there := 0
		made := func() { // served while the loop waits for nothing but those
			if there++; there == 2 {
				r.CallLater(time.Millisecond, func() { stop(t, r) })
			}
		}
		var n notes
		connected(t, r, &mourner{r, &n, "lost", false, made}, &mourner{r, &n, "lost", false, made})
		run(t, r)
	})
}

func TestCase45NoCalls(t *testing.T) {
	eachClock(t, func(p *play) {
		if got := p.wait(); got >= 0 {
			p.Errorf("without a call the loop waits for %v, want for ever", got)
		}
	})
}

func TestCase47MovedCallCounts(t *testing.T) {
	eachClock(t, func(p *play) {
		c := p.r.CallLater(10*time.Second, func() {})
		for _, step := range []struct {
			do   func() bool
			want time.Duration
		}{
			{func() bool { return true }, 10 * time.Second},
			{func() bool { return c.Reset(20 * time.Second) }, 20 * time.Second},
			{func() bool { return c.Reset(2 * time.Second) }, 2 * time.Second},
			{func() bool { return c.Delay(5 * time.Second) }, 7 * time.Second},
			{func() bool { return c.Delay(-4 * time.Second) }, 3 * time.Second},
		} {
			if ok, got := step.do(), p.wait(); !ok || got != step.want {
				p.Errorf("the loop waits for %v, want %v", got, step.want)
			}
			if !c.Active() {
				c = p.r.CallLater(step.want, func() {}) // wait's turn has made it
			}
		}
	})
}

func TestCase48CancelledCallCountsNot(t *testing.T) {
	eachClock(t, func(p *play) {
		p.r.CallLater(10*time.Second, func() {}).Cancel()
		if got := p.wait(); got >= 0 {
			p.Errorf("the loop waits for %v, want for ever", got)
		}
	})
}

func TestCase49VirtualTime(t *testing.T) {
	eachClock(t, func(p *play) {
		for _, d := range []time.Duration{1, 2, 3, 10} {
			p.r.CallLater(d*time.Second, p.at("called"))
		}
		p.pass(2 * time.Second)
		p.expect(p.T, "called at 1s", "called at 2s")
		p.pass(2 * time.Second)
		p.expect(p.T, "called at 3s")
	})
}

func TestCase51MovedInVirtualTime(t *testing.T) {
	eachClock(t, func(p *play) {
		p.r.CallLater(time.Second, p.at("delayed")).Delay(2 * time.Second)
		p.r.CallLater(2*time.Second, p.at("later")).Reset(4 * time.Second)
		p.r.CallLater(5*time.Second, p.at("sooner")).Reset(2 * time.Second)
		p.pass(10 * time.Second)
		p.expect(p.T, "sooner at 2s", "delayed at 3s", "later at 4s")
	})
}

func TestCase52CallsStayInOrder(t *testing.T) {
	eachClock(t, func(p *play) {
		var all []*mobius.DelayedCall
		for _, d := range []time.Duration{5, 3, 8, 3, 1, 9} {
			all = append(all, p.r.CallLater(d*time.Second, func() {}))
			p.times()
		}
		all[2].Reset(2 * time.Second)
		all[0].Delay(7 * time.Second)
		p.r.CallLater(time.Second, func() {
			all[5].Reset(0)
			all[1].Delay(-time.Second)
			p.r.CallLater(time.Second, func() {})
			p.times()
		})
		want := []time.Duration{1, 1, 2, 3, 3, 9, 12}
		for i, got := range p.times() {
			if got != want[i]*time.Second {
				p.Errorf("call %d is in %v, want %ds", i, got, want[i])
			}
		}
		p.pass(time.Second)
		p.times()
	})
}

func TestCase53SkippedSlots(t *testing.T) {
	eachClock(t, func(p *play) {
		at := p.at("called")
		c := mobius.NewLoopingCallWithCount(p.r, func(count int) error {
			at()
			p.add("%d", count)
			if len(p.notes) == 4 {
				p.clock.now += 2500 * time.Millisecond // it takes long
			}
			return nil
		})
		if _, err := c.Start(time.Second, true); err != nil {
			p.Fatal(err)
		}
		p.turn()
		p.pass(5 * time.Second)
		p.expect(p.T, "called at 0s", "1", "called at 1s", "1", "called at 4s", "3", "called at 5s", "1")
		c.Stop()
	})
}

func TestCase55Intervals(t *testing.T) {
	eachClock(t, func(p *play) {
		n := 0
		c := mobius.NewLoopingCall(p.r, func() error { n++; return nil })
		if _, err := c.Start(-time.Second, true); err == nil || c.Running() {
			p.Errorf("a negative interval: %v", err)
		}
		if _, err := c.Start(0, true); err != nil {
			p.Fatal(err)
		}
		for range 10 {
			p.turn()
		}
		if n != 10 {
			p.Errorf("called %d times in 10 turns", n)
		}
		c.Stop()
	})
}

func TestCase56StoppedEarly(t *testing.T) {
	eachClock(t, func(p *play) {
		ended := func(f *mobius.Future[struct{}]) {
			f.Then(func(_ struct{}, err error) { p.add("ended: %v", err) })
		}
		var inside *mobius.LoopingCall
		inside = mobius.NewLoopingCall(p.r, func() error { p.add("called"); return inside.Stop() })
		f, err := inside.Start(time.Second, true)
		if err != nil {
			p.Fatal(err)
		}
		ended(f)
		p.pass(10 * time.Second)
		p.expect(p.T, "called", "ended: <nil>")
		before := mobius.NewLoopingCall(p.r, func() error { p.add("called"); return nil })
		if f, err = before.Start(time.Second, false); err != nil {
			p.Fatal(err)
		}
		ended(f)
		if err := before.Stop(); err != nil {
			p.Error(err)
		}
		p.pass(10 * time.Second)
		p.expect(p.T, "ended: <nil>")
	})
}

func TestCase57LoopingCallWaits(t *testing.T) {
	eachClock(t, func(p *play) {
		at := p.at("called")
		c := mobius.NewLoopingCallAsync(p.r, func(int) mobius.Awaitable {
			at()
			return mobius.DeferLater(p.r, 2500*time.Millisecond, func() (int, error) { return 0, nil })
		})
		if _, err := c.Start(time.Second, false); err != nil {
			p.Fatal(err)
		}
		p.pass(8 * time.Second)
		p.expect(p.T, "called at 1s", "called at 4s", "called at 7s")
	})
}

func TestCase59ResetBeginsTheInterval(t *testing.T) {
	eachClock(t, func(p *play) {
		at := p.at("called")
		c := mobius.NewLoopingCall(p.r, func() error { at(); return nil })
		if _, err := c.Start(time.Second, false); err != nil {
			p.Fatal(err)
		}
		p.pass(1700 * time.Millisecond)
		if err := c.Reset(); err != nil {
			p.Fatal(err)
		}
		p.pass(2 * time.Second)
		p.expect(p.T, "called at 1s", "called at 2.7s", "called at 3.7s")
		c.Stop()
	})
}

func TestCase60DeferLaterCancelled(t *testing.T) {
	eachClock(t, func(p *play) {
		f := mobius.DeferLater(p.r, time.Second, func() (int, error) { p.add("called"); return 1, nil })
		f.Then(func(_ int, err error) { p.add("%v", err) })
		f.Cancel()
		if calls := p.r.DelayedCalls(); len(calls) != 0 {
			p.Errorf("%d calls are left", len(calls))
		}
		p.pass(5 * time.Second)
		p.expect(p.T, loop.ErrCanceled.Error())
		mobius.DeferLater(p.r, time.Second, func() (int, error) { return 7, nil }).Then(func(v int, err error) { p.add("%d, %v", v, err) })
		p.pass(5 * time.Second)
		p.expect(p.T, "7, <nil>")
	})
}

func TestCase61ReactStopsOnce(t *testing.T) {
	oh := errors.New("oh")
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		trigger(t, r, mobius.Before, mobius.Shutdown, n.adding("shutdown"))
		v, err := mobius.React(context.Background(), r, func() *mobius.Future[int] {
			done := loop.NewFuture[int](r.Loops()[0])
			r.CallLater(time.Millisecond, func() {
				stop(t, r) // somebody else was faster
				done.Complete(7, oh)
			})
			return done
		})
		if v != 7 || err != oh {
			t.Errorf("React: %d, %v", v, err)
		}
		n.expect(t, "shutdown")
	})
}

func TestX14EqualDeadlines(t *testing.T) {
	eachClock(t, func(p *play) {
		for _, name := range []string{"1", "2", "3", "4", "5"} {
			p.r.CallLater(time.Second, p.adding(name))
		}
		moved := p.r.CallLater(0, p.adding("moved last"))
		moved.Reset(time.Second)
		p.pass(time.Second)
		p.expect(p.T, "1", "2", "3", "4", "5", "moved last")
	})
}

// Calls for now that ask for calls for now: one generation a turn, and what
// comes from the network is served in between.
func TestX15CallsForNow(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		turns := 0
		var again func()
		again = func() { turns++; r.CallLater(0, again) }
		r.CallLater(0, again)
		there := 0
		made := func() {
			if there++; there == 2 {
				stop(t, r)
			}
		}
		var n notes
		connected(t, r, &mourner{r, &n, "lost", false, made}, &mourner{r, &n, "lost", false, made})
		run(t, r)
		n.expect(t, "lost: true", "lost: true")
	})
	eachClock(t, func(p *play) {
		p.r.CallLater(0, func() {
			p.add("first")
			p.r.CallLater(0, p.adding("second"))
		})
		p.turn()
		p.expect(p.T, "first")
		p.turn()
		p.expect(p.T, "second")
	})
}

func TestX16NegativeDelay(t *testing.T) {
	eachClock(t, func(p *play) {
		at := p.at("called")
		c := p.r.CallLater(-time.Hour, at)
		if c.Time() != p.r.Now() {
			p.Errorf("it is to be called at %v, want now, %v", c.Time(), p.r.Now())
		}
		p.expect(p.T)
		p.turn()
		p.expect(p.T, "called at 0s")
	})
}

// The clock is no calendar: it counts from an arbitrary moment, in step with
// the monotonic clock, whatever is done to the time of day.
func TestX17MonotonicTime(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		if r.Now() > 20*365*24*time.Hour {
			t.Errorf("the reactor's time is %v: that is the time of day", r.Now())
		}
		when(t, r, func() {
			begin, clock := time.Now(), r.Now()
			r.CallLater(5*time.Millisecond, func() {
				passed, most := r.Now()-clock, time.Since(begin) // Since goes by the monotonic clock
				if passed < 5*time.Millisecond || r.Backend().Name != "sim" && passed > most+time.Millisecond {
					t.Errorf("%v have passed, want 5ms to %v", passed, most)
				}
				stop(t, r)
			})
		})
		run(t, r)
	})
}
