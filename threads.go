package mobius

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"mobius/loop"
	"mobius/proactor"
)

// The limits of calls in threads.
const (
	defaultThreads = 10
	maxThreads     = 64 // what a backend's pool runs at one time
	defaultJobs    = 65536
)

// CallInThread has f called away from the loops, on a goroutine of a bounded
// pool: for what blocks. A panic of f is reported. Until the reactor is running
// f waits, and longer if as many calls run as SuggestThreadPoolSize allows;
// calls begin in the order in which they came.
//
// It returns [loop.ErrFull] if Options.Calls calls wait already, and
// [ErrStopped] once the reactor ends. A call that has not begun by then is
// dropped, and logged; the reactor's end waits for those that have, for up to
// Options.StopTimeout. Any goroutine. (Twisted's callInThread.)
func (r *Reactor) CallInThread(f func()) error {
	return r.threads.add(&job{run: f, done: func(err error, stack []byte) {
		switch {
		case stack != nil:
			r.loops[0].Report(loop.Trouble{Kind: loop.Panicked, Phase: loop.Threads, Value: err.(*PanicError).Value, Stack: stack})
		case err != nil:
			r.log.Warn("a call in a thread came to nothing", "error", err)
		}
	}})
}

// SuggestThreadPoolSize sets how many calls in threads run at one time: 1 to
// 64. When it shrinks, those that run go on. Any goroutine.
func (r *Reactor) SuggestThreadPoolSize(n int) error {
	if err := checkThreads(n, 1); err != nil {
		return err
	}
	r.threads.resize(n)
	return nil
}

func checkThreads(n, least int) error {
	if n < least || n > maxThreads {
		return fmt.Errorf("mobius: %d threads for calls, want 1 to %d", n, maxThreads)
	}
	return nil
}

// OnLoop reports whether the caller runs on the goroutine of one of the
// reactor's loops. It costs about a microsecond a loop. (Twisted's
// isInIOThread.)
func (r *Reactor) OnLoop() bool { return r.inside() != nil }

// inside returns the loop that the caller is on, or nil.
func (r *Reactor) inside() *Loop {
	for _, l := range r.loops {
		if l.Inside() {
			return l
		}
	}
	return nil
}

// DeferToThread calls f as [Reactor.CallInThread] does, and returns its result
// as a future of the loop that it is called on, or else of the first. A panic of
// f is the error [*PanicError], and so are what CallInThread would return or
// log. Any goroutine.
func DeferToThread[T any](r *Reactor, f func() (T, error)) *Future[T] {
	home := r.inside()
	if home == nil {
		home = r.loops[0]
	}
	future := loop.NewFuture[T](home)
	var value T
	var failed error // both the thread's, until it is done
	err := r.threads.add(&job{
		run: func() { value, failed = f() },
		done: func(err error, _ []byte) {
			var v T
			if err == nil {
				v, err = value, failed
			}
			if home == r.loops[0] {
				future.Complete(v, err)
				return
			}
			_ = home.Insist(func() { future.Complete(v, err) }) // an error: that loop has stopped, which the future's Wait tells
		},
	})
	if err != nil {
		var zero T
		future.Complete(zero, err)
	}
	return future
}

// BlockingCallFromThread calls f on the first loop and returns its result, for
// goroutines that are no loop's. A panic of f is the error [*PanicError]. It
// waits for the reactor to run, for as long as that takes.
//
// On a loop's goroutine, where the wait would have no end, it returns
// [loop.ErrOnLoop]. If ctx ends first it returns ctx's error, and f is called
// all the same; [loop.ErrFull] and [ErrStopped] mean that it is not.
func BlockingCallFromThread[T any](ctx context.Context, r *Reactor, f func() (T, error)) (T, error) {
	return BlockingWaitFromThread(ctx, r, func() *Future[T] {
		v, err := caught(f)
		return loop.Completed(r.loops[0], v, err)
	})
}

// caught calls f, and returns a panic as an error.
func caught[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p}
		}
	}()
	return f()
}

// BlockingWaitFromThread is [BlockingCallFromThread] for an f whose result comes
// later: it waits for the future too. A nil future is an error.
func BlockingWaitFromThread[T any](ctx context.Context, r *Reactor, f func() *Future[T]) (T, error) {
	var zero T
	if r.OnLoop() {
		return zero, loop.ErrOnLoop
	}
	got := loop.NewFuture[T](r.loops[0])
	err := r.Call(func() {
		if _, err := caught(func() (struct{}, error) {
			f().Then(func(v T, err error) { got.Complete(v, err) })
			return struct{}{}, nil
		}); err != nil {
			got.Complete(zero, err)
		}
	})
	if err != nil {
		return zero, err
	}
	return got.Wait(ctx)
}

// A job is one call in a thread.
type job struct {
	op   proactor.Op
	pool *threads
	run  func()
	done func(err error, stack []byte) // the first loop's

	returned bool
	panicked *PanicError
	stack    []byte
}

// call is the thread's part.
func (j *job) call() {
	defer func() {
		if v := recover(); v != nil {
			j.panicked, j.stack = &PanicError{Value: v}, debug.Stack()
		}
	}()
	j.run()
	j.returned = true
}

// Complete takes the result of the backend's pool.
func (j *job) Complete(op *proactor.Op) {
	s := j.pool
	s.begun = slices.DeleteFunc(s.begun, func(b *job) bool { return b == j })
	s.settle()
	switch {
	case j.panicked != nil:
		j.done(j.panicked, j.stack)
	case j.returned:
		j.done(nil, nil)
	case op.Err != nil:
		j.done(op.Err, nil)
	default:
		j.done(loop.ErrGoexit, nil)
	}
}

// threads is the pool of a reactor's calls in threads: a bound on the OpWork
// operations of its first loop, and a bounded queue before it.
//
//	closed ── start (the reactor is running) ──▶ open ── the loop ends ──▶ ended
type threads struct {
	l      *Loop
	member loop.Member
	limit  int

	mu     sync.Mutex
	queue  []*job
	size   int
	poked  bool // fill was posted
	opened bool
	ended  bool

	begun []*job // the first loop's: submitted
}

func (s *threads) init(l *Loop, size, limit int) {
	if size == 0 {
		size = defaultThreads
	}
	if limit <= 0 {
		limit = defaultJobs
	}
	s.l, s.size, s.limit = l, size, limit
	s.member.Owner = (*threadEvents)(s)
}

// add queues a job. Any goroutine.
func (s *threads) add(j *job) error {
	j.pool = s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return ErrStopped
	}
	if len(s.queue) >= s.limit {
		return loop.ErrFull
	}
	s.queue = append(s.queue, j)
	s.poke()
	return nil
}

func (s *threads) resize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = n
	s.poke()
}

// poke has the first loop look at the queue. The lock is held.
func (s *threads) poke() {
	if s.opened && !s.poked && len(s.queue) > 0 {
		s.poked = s.l.Insist(s.fill) == nil // else the loop's end is near, and close will follow
	}
}

// start opens the pool.
func (s *threads) start() {
	s.mu.Lock()
	s.opened = true
	s.mu.Unlock()
	s.fill()
}

// fill begins as many jobs as there is room for.
func (s *threads) fill() {
	s.mu.Lock()
	s.poked = false
	s.mu.Unlock()
	s.settle()
}

// settle begins what may begin, and joins or leaves the loop's members.
func (s *threads) settle() {
	for j := s.next(); j != nil; j = s.next() {
		s.begun = append(s.begun, j)
		s.l.Join(&s.member)
		j.op = proactor.Op{Kind: proactor.OpWork, Owner: j, Func: j.call}
		s.l.Submit(&j.op)
	}
	if len(s.begun) == 0 {
		s.l.Leave(&s.member)
	}
}

// next takes the first job that may begin, or nil.
func (s *threads) next() *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.opened || s.ended || len(s.queue) == 0 || len(s.begun) >= s.size {
		return nil
	}
	j := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	return j
}

// close drops what has not begun, for good.
func (s *threads) close() {
	s.mu.Lock()
	left := s.queue
	s.queue, s.ended = nil, true
	s.mu.Unlock()
	for _, j := range left {
		j.done(ErrStopped, nil)
	}
}

// threadEvents are what the loop tells the pool.
type threadEvents threads

// Fail drops what has not begun; the loop waits for the rest.
func (e *threadEvents) Fail(error) {
	s := (*threads)(e)
	s.close()
	for _, j := range s.begun {
		s.l.Cancel(&j.op) // has an effect on what no thread has taken up
	}
}

// Abandon gives up on what runs: nobody will hear of it.
func (e *threadEvents) Abandon(err error) {
	for _, j := range e.begun {
		j.done(err, nil)
	}
}
