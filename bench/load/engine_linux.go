//go:build linux

package load

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"mobius/bench/result"
)

// A client is one connection, or one place for them.
type client interface {
	// ready handles what epoll tells.
	ready(e *engine, events uint32) error
	// next is called when a request of an open loop is due.
	next(e *engine) error
	// end ends it. It adds what is missing of what it has asked for.
	end(e *engine)
}

// A sweeper is a client that wants to be called every sweepEvery.
type sweeper interface {
	sweep(e *engine) error
}

// sweepEvery is the time between two sweeps.
const sweepEvery = 10 * time.Millisecond

// An engine drives the clients of a load on one thread.
type engine struct {
	spec    *Spec
	poll    int // the epoll descriptor
	pattern *pattern
	buf     []byte
	events  [512]unix.EpollEvent
	clients []client
	base    time.Time

	measuring bool // inside the measured time
	recording bool // inside it, or waiting for answers to what was asked in it
	stopping  bool // beyond it: nobody asks any more
	res       Result
	latency   *result.Histogram
	corrected *result.Histogram // of an open loop

	began    int64 // when the first request of an open loop was due
	interval float64
	due      int64 // how many are due
	progress int64 // when an answer, or a part of one, came last
	swept    int64
}

func newEngine(spec *Spec) *engine {
	e := &engine{
		spec: spec, poll: -1, pattern: newPattern(spec.Size), buf: make([]byte, chunk), base: time.Now(), latency: result.NewHistogram(),
	}
	if spec.Rate > 0 {
		e.corrected, e.interval = result.NewHistogram(), float64(time.Second)/spec.Rate
	}
	return e
}

// start makes the clients.
func (e *engine) start() (err error) {
	if e.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("load: epoll_create1: %w", err)
	}
	return e.open()
}

// close ends the clients, which count what is missing.
func (e *engine) close() {
	for _, c := range e.clients {
		c.end(e)
	}
	e.clients = nil
	unix.Close(e.poll)
}

// run makes the load.
func run(spec *Spec, t *talk) (*Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e := newEngine(spec)
	err := e.start()
	if err == nil {
		err = t.ask(eventReady)
	}
	if err == nil {
		err = e.measure(t)
	}
	e.close()
	e.res.Latency, e.res.Corrected = e.latency, e.corrected
	return &e.res, err
}

// now returns the time in ns since the engine was made.
func (e *engine) now() int64 { return int64(time.Since(e.base)) }

// open makes the clients.
func (e *engine) open() error {
	n := e.spec.Conns
	if e.spec.Mode == Slow {
		n++
	}
	for i := range n {
		c, err := e.newClient(i)
		if err != nil {
			return fmt.Errorf("load: connection %d of %d: %w", i+1, n, err)
		}
		e.clients = append(e.clients, c)
	}
	return nil
}

func (e *engine) newClient(i int) (client, error) {
	switch e.spec.Mode {
	case Connect, Handshake:
		return newCaller(e, i)
	case HTTP:
		return newGetter(e, i)
	}
	if e.spec.Network == "udp" {
		return newPacketClient(e, i)
	}
	return newStream(e, i)
}

// measure warms up, measures, and waits for what is missing.
func (e *engine) measure(t *talk) error {
	e.progress = e.now()
	e.began = e.progress
	first := e.clients
	if e.spec.Rate > 0 {
		first = e.clients[e.spec.Conns:] // one that floods is never due
	}
	for _, c := range first {
		if err := c.next(e); err != nil {
			return err
		}
	}
	if err := e.pump(e.now() + int64(e.spec.Warmup)); err != nil {
		return err
	}
	e.res.Began = Monotonic()
	if err := t.say(eventBegin); err != nil {
		return err
	}
	e.measuring, e.recording = true, true
	from, cpu := e.now(), OwnCPU()
	if err := e.pump(from + int64(e.spec.Duration)); err != nil {
		return err
	}
	e.measuring = false
	e.res.Elapsed, e.res.CPU = time.Duration(e.now()-from), OwnCPU()-cpu
	if err := t.ask(eventEnd); err != nil {
		return err
	}
	e.stopping = true
	e.progress = e.now()
	return e.drain()
}

// drain waits for the answers that are under way, as long as some come. What
// is missing then is bad, which the clients' end counts.
func (e *engine) drain() error {
	limit := min(e.spec.patience(), 2*time.Second)
	for e.outstanding() {
		if e.now()-e.progress > int64(limit) {
			return nil
		}
		if err := e.pump(e.now() + int64(sweepEvery)); err != nil {
			return err
		}
	}
	return nil
}

// outstanding reports whether a client waits for an answer.
func (e *engine) outstanding() bool {
	for _, c := range e.clients {
		if w, ok := c.(interface{ waits() bool }); ok && w.waits() {
			return true
		}
	}
	return false
}

// pump handles events until a time.
func (e *engine) pump(until int64) error {
	for {
		now := e.now()
		if now >= until {
			return nil
		}
		if err := e.tick(now); err != nil {
			return err
		}
		n, err := e.wait(e.timeout(now, until))
		if err != nil {
			return err
		}
		for i := range n {
			ev := &e.events[i]
			if err := e.clients[ev.Fd].ready(e, ev.Events); err != nil {
				return err
			}
		}
	}
}

// tick does what is due by the clock.
func (e *engine) tick(now int64) error {
	if e.spec.Rate > 0 && !e.stopping {
		for e.dueAt(e.due) <= now {
			c := e.clients[e.due%int64(e.spec.Conns)]
			e.due++
			if err := c.next(e); err != nil {
				return err
			}
		}
	}
	if now-e.swept < int64(sweepEvery) {
		return nil
	}
	e.swept = now
	for _, c := range e.clients {
		s, ok := c.(sweeper)
		if !ok {
			break // all are of one kind
		}
		if err := s.sweep(e); err != nil {
			return err
		}
	}
	if e.spec.Mode == Idle || e.stopping || now-e.progress < int64(e.spec.patience()) {
		return nil
	}
	if !e.outstanding() { // few are due
		e.progress = now
		return nil
	}
	return fmt.Errorf("load: no answer for %v", e.spec.patience())
}

// dueAt returns when request i of an open loop is due.
func (e *engine) dueAt(i int64) int64 { return e.began + int64(float64(i)*e.interval) }

// timeout returns how long to wait for events.
func (e *engine) timeout(now, until int64) time.Duration {
	d := min(until-now, int64(sweepEvery))
	if e.spec.Rate > 0 && !e.stopping {
		d = min(d, e.dueAt(e.due)-now)
	}
	return time.Duration(max(d, 0))
}

// answered counts n answers that came now to what was sent at the time sent.
func (e *engine) answered(now, sent int64, n int64) {
	e.progress = now
	if e.spec.Mode == Idle {
		return // that it answers is all that was asked
	}
	if e.measuring {
		e.res.Requests += uint64(n)
	}
	if e.recording {
		e.latency.Record(time.Duration(now-sent), n)
	}
}
