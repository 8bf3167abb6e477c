package netconn

import (
	"context"

	"mobius"
)

// A Runner is a reactor that runs.
type Runner struct {
	*mobius.Reactor
	ran chan error
}

// preferred is the backend whose loops are goroutines like those that they wake;
// see mobius.Options.
const preferred = "netpoll"

// Start makes a reactor and runs it on goroutines of its own, for programs that
// have no other use for it than this package's. If o leaves the backend open it
// is netpoll where there is one, else mobius.New's choice.
func Start(o mobius.Options) (*Runner, error) {
	open := o.Backend == "" && o.Open == nil
	if open {
		o.Backend = preferred
	}
	r, err := mobius.New(o)
	if err != nil && open {
		o.Backend = ""
		r, err = mobius.New(o)
	}
	if err != nil {
		return nil, err
	}
	s := &Runner{Reactor: r, ran: make(chan error, 1)}
	runs := make(chan struct{})
	if err := r.CallWhenRunning(func() { close(runs) }); err != nil {
		return nil, err
	}
	go func() { s.ran <- r.Run(context.Background()) }()
	select {
	case <-runs:
		return s, nil
	case err := <-s.ran: // it has failed at once
		return nil, err
	}
}

// Close stops the reactor and waits for its end: connections and listeners that
// are still there then fail with [mobius.ErrStopped] as the cause. It returns
// what Run has returned. It is called once.
func (s *Runner) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.Shutdown(ctx)
	return <-s.ran
}
