package backendtest

import (
	"sync/atomic"

	"mobius/proactor"
)

// Sentence 14: work off the loop.

func s14CompletesAfterFuncHasReturned(w *world) {
	d := w.server
	const n = 200 // more than any pool has workers
	var done, most, now atomic.Int32
	var ops [n]*probe
	for i := range ops {
		p := d.probe(proactor.OpWork, 0)
		ran := false
		p.Func = func() {
			most.Store(max(most.Load(), now.Add(1)))
			ran = true
			now.Add(-1)
			done.Add(1)
		}
		p.on = func() {
			if !ran {
				d.report("sentence 14: a Work completes before its Func has returned")
			}
		}
		ops[i] = p
		p.submit()
	}
	w.until("all work is done", func() bool {
		for _, p := range ops {
			if p.live {
				return false
			}
		}
		return true
	})
	for _, p := range ops {
		if p.err != nil || p.results != 1 {
			w.Fatalf("work: %v, %d results", p.err, p.results)
		}
	}
	if done.Load() != n || most.Load() > 128 {
		w.Errorf("%d Funcs ran, up to %d at once", done.Load(), most.Load())
	}
}

// s14RunsAwayFromTheLoop has Funcs that wait for the loop to go on.
func s14RunsAwayFromTheLoop(w *world) {
	if w.cfg.Virtual {
		return // inline there
	}
	d := w.server
	a, b := w.connect()
	r := b.read(1)
	release := make(chan struct{})
	var loop atomic.Bool
	p := d.probe(proactor.OpWork, 0)
	me := thread()
	p.Func = func() {
		loop.Store(!w.cfg.free() && thread() == me) // a goroutine that has parked leaves its thread to others
		if !loop.Load() {
			<-release
		}
	}
	p.submit()
	for i := range int64(10) {
		a.say(made(1, i, 1))
		w.until("the loop works on while a Func runs", r.has(i+1))
	}
	if p.isIdle() {
		w.Fatal("work completed while its Func was running")
	}
	close(release)
	w.until("the work completes", p.isIdle)
	if p.err != nil || loop.Load() {
		w.Fatalf("%v; ran on the loop's thread: %v", p.err, loop.Load())
	}
}

func s14CancelCountsOnlyBeforeTheStart(w *world) {
	d := w.server
	canceled := 0
	for round := range 50 {
		ran := atomic.Bool{}
		p := d.probe(proactor.OpWork, 0)
		p.Func = func() { ran.Store(true) }
		p.submit()
		for range round % 5 {
			w.step()
		}
		p.cancel()
		w.until("it ends", p.isIdle)
		switch {
		case p.err == nil && ran.Load():
		case p.err == proactor.ErrCanceled && !ran.Load():
			canceled++
		default:
			if p.lasts == 1 && p.err == nil {
				w.Fatalf("work completes, and its Func has not run")
			}
			w.Fatalf("work ends with %v, its Func has run: %v", p.err, ran.Load())
		}
	}
	w.Logf("%d of 50 were canceled before they started", canceled)
}

// s14CancelOfAStartedWork cancels a Func that runs, and others that wait for
// their turn behind many that run.
func s14CancelOfAStartedWork(w *world) {
	if w.cfg.Virtual {
		return // a Func cannot be caught in the middle there
	}
	d := w.server
	release := make(chan struct{})
	started := make(chan struct{}, 300)
	var ops [300]*probe
	for i := range ops {
		p := d.probe(proactor.OpWork, 0)
		p.Func = func() {
			started <- struct{}{}
			<-release
		}
		ops[i] = p
		p.submit()
	}
	w.settles("some run", func() bool { return len(started) > 0 })
	for _, p := range ops {
		p.cancel()
	}
	w.settles("those that have not started end", func() bool {
		ended := 0
		for _, p := range ops {
			if p.isIdle() {
				ended++
			}
		}
		return ended+len(started) >= len(ops)
	})
	running := len(started)
	close(release)
	ended := 0
	for _, p := range ops {
		w.until("those that run end when they are done", p.isIdle)
		switch p.err {
		case nil:
			ended++
		case proactor.ErrCanceled:
		default:
			w.Fatalf("work ends with %v", p.err)
		}
	}
	if ended != running || running > 128 {
		w.Fatalf("%d were running when canceled, %d ended without ErrCanceled", running, ended)
	}
}
