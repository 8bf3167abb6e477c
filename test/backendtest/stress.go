package backendtest

import (
	"runtime"
	"runtime/debug"

	"mobius/internal/invariant"
	"mobius/proactor"
)

// s1TheCollectorMovesNothing has the garbage collector run, memory returned and
// stacks grow all the time while bytes are under way.
func s1TheCollectorMovesNothing(w *world) {
	defer meanwhile(func() {
		runtime.GC()
		debug.FreeOSMemory()
	})()
	total := int64(w.size(1 << 20))
	for i := range uint64(4) {
		a, b := w.connect() // nobody but the backend knows of the ops of the echo
		e := newEcho(b)
		e.recv.submit()
		back := a.read(i)
		back.each = func([]byte) { deep(200) }
		a.write(i, total, func() int { return 1 + w.rand.IntN(9000) })
		w.until("everything is echoed beside the collector", back.has(total))
	}
}

// meanwhile calls f again and again on another goroutine, until stop.
func meanwhile(f func()) (stop func()) {
	end, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-end:
				return
			default:
				f()
			}
		}
	}()
	return func() { close(end); <-over }
}

// deep makes the stack grow, and with it move.
func deep(n int) int {
	var frame [128]int
	if n > 0 {
		frame[n%len(frame)] = deep(n - 1)
	}
	return frame[0] + frame[n%len(frame)]
}

// s5ASecondSendIsNoticed submits two sends on one stream, where checks are compiled in.
func s5ASecondSendIsNoticed(w *world) {
	if !invariant.Enabled {
		return
	}
	d := w.another()
	l, err := d.listenRaw(w)
	if err != nil {
		w.Fatal(err)
	}
	c := d.dial(l.local)
	w.until("it connects", c.isIdle)
	for _, kind := range []proactor.Kind{proactor.OpSend, proactor.OpRecv} {
		first, second := d.probe(kind, c.stream.h), d.probe(kind, c.stream.h)
		if kind == proactor.OpSend {
			first.Buf, second.Buf = make([]byte, 8<<20), []byte("overtakes")
		}
		first.submit()
		if !panics(second.submit) {
			w.Errorf("a second %v on one stream went unnoticed", kind)
		}
		d.calling = false
	}
	d.closed = true
	if err := d.b.Close(); err != nil {
		w.Errorf("Close: %v", err)
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
