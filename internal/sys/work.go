package sys

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"mobius/proactor"
)

// The limits of a Workers whose own are 0.
const (
	DefaultWorkers = 64   // goroutines
	DefaultWaiting = 4096 // ops that wait for one
)

// Workers runs the Funcs of OpWork ops on goroutines that are started when
// there is work and end when there is none, so an idle pool costs nothing.
type Workers struct {
	limit, waiting int
	wake           func() // the backend's Wake
	run            func() // bound once: a go statement with it allocates nothing

	finished atomic.Int32 // ops in done, so that an idle loop takes no lock
	mu       sync.Mutex
	running  int            // goroutines
	queue    proactor.Queue // not started
	started  proactor.Queue // Func runs
	done     proactor.Queue // Func has returned, result not collected
	closed   bool
}

// A WorkPanic is the Err of a Work whose Func panicked, or left by
// runtime.Goexit (then Value is nil).
type WorkPanic struct {
	Value any
	Stack []byte // of the panic
}

// Error implements error.
func (p *WorkPanic) Error() string {
	if p.Value == nil {
		return "work function called runtime.Goexit"
	}
	return fmt.Sprintf("work function panicked: %v", p.Value)
}

// Unwrap returns the panic's value if it is an error.
func (p *WorkPanic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Init sets the limits, 0 meaning the defaults, and what is called from a
// worker's goroutine after each op that it has finished.
func (w *Workers) Init(workers, waiting int, wake func()) {
	if workers <= 0 {
		workers = DefaultWorkers
	}
	if waiting <= 0 {
		waiting = DefaultWaiting
	}
	w.limit, w.waiting, w.wake, w.run = workers, waiting, wake, w.work
}

// Start hands op, an OpWork, to a worker, or has it wait for one. It answers
// ErrLimit if too many wait.
func (w *Workers) Start(op *proactor.Op) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return proactor.ErrClosed
	}
	if w.running >= w.limit && w.queue.Len() >= w.waiting {
		return proactor.ErrLimit
	}
	w.queue.Push(op)
	if w.running < w.limit {
		w.running++
		go w.run()
	}
	return nil
}

// Cancel takes op back if it has not started, and reports whether it did. An
// op that has started finishes as if nothing had been said.
func (w *Workers) Cancel(op *proactor.Op) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue.Remove(op)
}

// Finished returns one op whose Func has returned, with Err set to a
// *WorkPanic if it did not return normally; nil if there is none. Loop goroutine.
func (w *Workers) Finished() *proactor.Op {
	if w.finished.Load() == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	op := w.done.Pop()
	if op != nil {
		w.finished.Add(-1)
	}
	return op
}

// Close drops what has not started and the results of what has, and gives all
// ops back to their owners, idle: from its return on none is touched.
//
// It does not wait for Funcs that are running, since nothing can stop them and
// a name's look-up may take half a minute: each ends on its goroutine, in its own time.
func (w *Workers) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, q := range []*proactor.Queue{&w.queue, &w.started, &w.done} {
		for op := q.Pop(); op != nil; op = q.Pop() {
			op.B.State = proactor.Idle
		}
	}
	w.finished.Store(0)
}

// work is a worker's life.
func (w *Workers) work() {
	for {
		w.mu.Lock()
		op := w.queue.Pop()
		if op == nil {
			w.running--
			w.mu.Unlock()
			return
		}
		w.started.Push(op)
		w.mu.Unlock()
		w.call(op)
	}
}

// call runs op.Func and files the result whatever Func does. After a Goexit
// the goroutine ends here, so another takes its place.
func (w *Workers) call(op *proactor.Op) {
	returned := false
	defer func() {
		if returned {
			w.finish(op, nil)
		} else if v := recover(); v != nil {
			w.finish(op, &WorkPanic{Value: v, Stack: debug.Stack()})
		} else {
			w.finish(op, &WorkPanic{})
			go w.run()
		}
	}()
	op.Func()
	returned = true
}

func (w *Workers) finish(op *proactor.Op, result error) {
	w.mu.Lock()
	closed := w.closed
	if !closed {
		w.started.Remove(op)
		op.Err = result
		w.done.Push(op)
		w.finished.Add(1)
	}
	w.mu.Unlock()
	if !closed {
		w.wake()
	}
}
