package backendtest

import "mobius/proactor"

// Listeners that nobody accepts from: connects that wait.

// crowd dials a listener with a backlog of one, more often than it holds: one
// after the other, since the kernel may greet several that come at once before
// it finds its queue full.
func (w *world) crowd() (l *listener, dials []*dialer) {
	w.Helper()
	l = w.server.bind(w.freshAddress(), &proactor.SocketOptions{Backlog: 1})
	for range 8 {
		d := w.client.dial(l.local)
		w.within(w.brief(), d.isIdle)
		dials = append(dials, d)
	}
	return l, dials
}

func s8AConnectThatWaitsIsCanceled(w *world) {
	l, dials := w.crowd()
	waiting := 0
	for _, c := range dials {
		if c.isIdle() {
			continue
		}
		waiting++
		c.cancel()
		w.until("a connect that waits for an answer ends after Cancel", c.isIdle)
		if c.err != proactor.ErrCanceled {
			w.Errorf("connect ends with %v, want ErrCanceled", c.err)
		}
		c.stream.close()
	}
	if waiting == 0 && w.cfg.Descriptors {
		w.Errorf("%d connects to a listener with a backlog of 1 are done", len(dials))
	}
	l.submit() // those that were canceled are not heard of, or dead
	w.join(l)
}

// s4AFullUnixListenerShowsNothing dials a unix listener whose backlog is full,
// which connect(2) answers with EAGAIN if it must not wait.
func s4AFullUnixListenerShowsNothing(w *world) {
	w.network = proactor.Unix
	defer func() { w.network = proactor.TCP }()
	l, dials := w.crowd()
	l.submit()
	connected := 0
	for _, c := range dials {
		w.until("a connect to a busy listener ends", c.isIdle) // the probe sees to it that it is not with EAGAIN
		if c.err == nil {
			connected++
		}
	}
	w.until("those that were connected are accepted", func() bool { return l.count == connected })
	if connected < 2 {
		w.Errorf("%d of %d were connected", connected, len(dials))
	}
}
