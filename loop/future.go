package loop

import "context"

// A Future is a result that comes later: completed once, on the loop. Make one
// with [NewFuture].
//
// Functions given to Then run at the end of a turn, in the order in which they
// were given, never inside Then, Complete or Cancel.
type Future[T any] struct {
	l        *Loop
	done     chan struct{}
	value    T
	err      error
	finished bool
	cancel   func()
	then     []func(T, error)
	flush    Flush
}

// NewFuture returns a future to be completed on l's goroutine. Any goroutine.
func NewFuture[T any](l *Loop) *Future[T] {
	f := &Future[T]{l: l, done: make(chan struct{})}
	f.flush.Owner = (*futureFlush[T])(f)
	return f
}

// Completed returns a future that holds a result already.
func Completed[T any](l *Loop, v T, err error) *Future[T] {
	f := NewFuture[T](l)
	f.Complete(v, err)
	return f
}

// Complete sets the result and reports whether it was the first to do so;
// later ones change nothing. Loop goroutine.
func (f *Future[T]) Complete(v T, err error) bool {
	if f.finished {
		return false
	}
	f.value, f.err, f.finished, f.cancel = v, err, true, nil
	close(f.done)
	if len(f.then) > 0 {
		f.l.AtTurnEnd(&f.flush)
	}
	return true
}

// Then calls fn with the result once there is one. Loop goroutine.
func (f *Future[T]) Then(fn func(v T, err error)) {
	f.then = append(f.then, fn)
	if f.finished {
		f.l.AtTurnEnd(&f.flush)
	}
}

// An Awaitable is a [Future] of whatever type, to those who want to know only
// when it is done. Loop goroutine.
type Awaitable interface {
	// Finally calls fn with the error, or nil, once there is a result.
	Finally(fn func(err error))
}

// Finally is Then without the value. Loop goroutine.
func (f *Future[T]) Finally(fn func(err error)) { f.Then(func(_ T, err error) { fn(err) }) }

// OnCancel sets what Cancel calls: it ends the work, and may complete the
// future. Loop goroutine.
func (f *Future[T]) OnCancel(fn func()) { f.cancel = fn }

// Cancel gives the work up: it calls what OnCancel has set and, if that did
// not complete the future, completes it with [ErrCanceled]. It does nothing
// once there is a result. Loop goroutine.
func (f *Future[T]) Cancel() {
	if f.finished {
		return
	}
	if fn := f.cancel; fn != nil {
		f.cancel = nil
		fn()
	}
	var zero T
	f.Complete(zero, ErrCanceled)
}

// Loop returns the loop on which f is completed. Any goroutine.
func (f *Future[T]) Loop() *Loop { return f.l }

// Peek returns the result, if there is one already. Loop goroutine.
func (f *Future[T]) Peek() (v T, done bool, err error) { return f.value, f.finished, f.err }

// Done returns a channel that is closed once there is a result. Any goroutine.
func (f *Future[T]) Done() <-chan struct{} { return f.done }

// Wait waits for the result, for ctx to end (the work goes on), or for the
// loop to have stopped, [ErrStopped]. On the loop's own goroutine it returns
// [ErrOnLoop] if there is no result yet. Any goroutine.
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	var zero T
	select {
	case <-f.done:
		return f.value, f.err
	default:
	}
	if f.l.goid.Load() == goroutineID() {
		return zero, ErrOnLoop
	}
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return zero, ctx.Err()
	case <-f.l.done:
	}
	select { // the loop's last act may have been to complete it
	case <-f.done:
		return f.value, f.err
	default:
		return zero, ErrStopped
	}
}

// futureFlush is a Future whose Flush is not for its users.
type futureFlush[T any] Future[T]

// Flush runs what Then was given. A function that panics costs itself only:
// the rest follows at the end of the next turn.
func (f *futureFlush[T]) Flush() {
	for len(f.then) > 0 {
		fn := f.then[0]
		f.then = f.then[1:]
		if len(f.then) > 0 {
			f.l.AtTurnEnd(&f.flush)
		}
		fn(f.value, f.err)
	}
	f.then = nil
}
