package backendtest

import (
	"runtime"

	"mobius/proactor"
)

func s7cAffinityIsTrue(w *world) {
	a := w.server.b.Affinity()
	w.server.poll(0)
	if again := w.server.b.Affinity(); again != a {
		w.Fatalf("Affinity is %v, and %v after a Poll", a, again)
	}
	if w.cfg.AnyThread && a != proactor.OneGoroutine {
		w.Fatalf("Affinity is %v of a backend that does not look at threads", a)
	}
}

// s7cOneGoroutineOnManyThreads has the goroutine lose its thread between two
// exchanges, now and then for good.
func s7cOneGoroutineOnManyThreads(w *world) {
	if !w.cfg.free() {
		return
	}
	a, b := w.connect()
	e := newEcho(b)
	e.recv.submit()
	back := a.reader(1, 0)
	back.each = nil
	var got int
	back.on = func() { got += back.Op.N }
	back.submit()
	release := make(chan struct{})
	defer close(release)
	seen := map[int]bool{}
	for round := range 20 {
		seen[thread()] = true
		steal(release, round%2 == 0)
		ping := a.d.probe(proactor.OpSend, a.h)
		ping.Buf = make([]byte, 64)
		ping.submit()
		w.until("the echo is back on another thread", func() bool { return !ping.live && got >= (round+1)*64 })
	}
	if thread() != 0 && len(seen) < 2 { // 0: threads are not told apart here
		w.Fatal("the goroutine has never changed its thread: the test shows nothing")
	}
	a.shutdown()
	w.until("the echo ends", func() bool { return e.done })
}

// steal has other goroutines lock the thread that the caller is on, most
// probably, and end it or keep it until release is closed.
func steal(release chan struct{}, end bool) {
	for range 4 {
		locked := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(locked)
			if !end {
				<-release
				runtime.UnlockOSThread()
			}
		}()
		<-locked
	}
}
