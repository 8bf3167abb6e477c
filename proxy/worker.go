package proxy

import (
	"sync/atomic"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport/tls"
)

// sweepSlice is how many live sessions are counted in one turn.
const sweepSlice = 1024

// A worker is a proxy's part on one loop: the sessions that live there. What
// is atomic is written by the loop and read by Status.
type worker struct {
	p        *Proxy
	l        *loop.Loop
	offset   time.Duration // the first loop's time less this one's
	sessions []*Session
	member   loop.Member
	stopped  bool
	unserved refusal // connections beyond MaxSessions

	sampling loop.Timer
	swept    int // how far the sweep under way has come

	live     atomic.Int64
	accepted atomic.Uint64
	ends     [reasons]atomic.Uint64
	sent     atomic.Int64
	received atomic.Int64
	stats    atomic.Pointer[proactor.Stats]
	tls      atomic.Pointer[tls.Stats]
}

func newWorker(p *Proxy, l, first *loop.Loop) *worker {
	w := &worker{p: p, l: l, offset: first.Backend().Now() - l.Backend().Now()}
	w.member.Owner = w
	w.sampling.Func = w.sample
	return w
}

// now is a time that all loops of the proxy share.
func (w *worker) now() time.Duration { return w.l.Now() + w.offset }

// Fail ends all sessions because the loop stops.
func (w *worker) Fail(error) {
	w.stopped = true
	w.sampling.Stop()
	w.cutAll(Stopped)
	w.leave()
}

// Finish is the loop's wish to end in good order: nothing new, and what is
// there runs to its end.
func (w *worker) Finish() {
	w.p.draining.Store(true)
	w.stopped = true
	w.sampling.Stop()
	w.leave()
}

func (w *worker) leave() {
	if w.stopped && len(w.sessions) == 0 {
		w.l.Leave(&w.member)
	}
}

// serve starts a session for a connection that is on w's loop.
func (w *worker) serve(ln *listener, h proactor.Handle, peer proactor.Address) {
	s := &Session{w: w, listener: ln, client: h, peer: peer}
	defer s.rescue()
	s.begin()
}

func (w *worker) enlist(s *Session) {
	w.l.Join(&w.member) // it may have left before a connection on its way from another loop came
	s.index = int32(len(w.sessions))
	w.sessions = append(w.sessions, s)
	w.live.Store(int64(len(w.sessions)))
}

func (w *worker) delist(s *Session) {
	last := len(w.sessions) - 1
	moved := w.sessions[last]
	w.sessions[s.index] = moved
	moved.index = s.index
	w.sessions[last] = nil
	w.sessions = w.sessions[:last]
	w.live.Store(int64(last))
}

// ended counts a session's end.
func (w *worker) ended(s *Session) {
	w.ends[s.reason].Add(1)
	if s.connected {
		s.upstream.live.Add(-1)
	}
	w.p.gone()
	w.leave()
}

// cutAll ends every session.
func (w *worker) cutAll(r Reason) {
	for i := len(w.sessions) - 1; i >= 0; i-- { // a session that ends at once makes the last one take its place
		w.sessions[i].cut(r, Nobody, nil)
	}
}

// count adds what has moved since the last time to the sums.
func (s *Session) count() {
	sent, received := s.up.uncounted(), s.down.uncounted()
	if sent == 0 && received == 0 {
		return
	}
	s.w.sent.Add(sent)
	s.w.received.Add(received)
	s.upstream.sent.Add(sent)
	s.upstream.received.Add(received)
}

func (p *pipe) uncounted() int64 {
	moved := p.relay.Moved.Load()
	n := moved - p.counted
	p.counted = moved
	return n
}

// sample counts the live sessions, a slice per turn, and then waits for the
// next time. A session that a removal moves to a place the sweep has passed is
// counted next time, or at its end.
func (w *worker) sample() {
	end := min(w.swept+sweepSlice, len(w.sessions))
	for _, s := range w.sessions[w.swept:max(end, w.swept)] {
		s.count()
	}
	if w.swept = end; end < len(w.sessions) {
		w.l.Start(&w.sampling, 0)
		return
	}
	w.swept = 0
	stats := w.l.Backend().Stats()
	w.stats.Store(&stats)
	shaken := tls.StatsOf(w.l)
	w.tls.Store(&shaken)
	if w == w.p.workers[0] {
		w.p.keepSample()
	}
	w.l.Start(&w.sampling, w.p.o.Sample)
}
