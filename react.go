package mobius

import (
	"context"
	"errors"
)

// React runs r until the future that main returns is done, and returns its
// result: a program's main function around a reactor. main is called on the
// first loop once the reactor is running; a panic of it is the error
// [*PanicError], and a nil future is one too. If the reactor ends before, React returns its failure, ctx's error, or [ErrStopped].
// (Twisted's task.react.)
func React[T any](ctx context.Context, r *Reactor, main func() *Future[T]) (T, error) {
	var value T
	failed := ErrStopped
	if err := r.CallWhenRunning(func() {
		end := func(v T, err error) {
			value, failed = v, err
			_ = r.Stop() // an error means that somebody else has
		}
		if _, err := caught(func() (struct{}, error) {
			main().Then(end)
			return struct{}{}, nil
		}); err != nil {
			end(value, err)
		}
	}); err != nil {
		return value, err
	}
	if err := r.Run(ctx); err != nil {
		return value, errors.Join(err, failed)
	}
	if failed == ErrStopped && ctx.Err() != nil {
		return value, ctx.Err()
	}
	return value, failed
}
