package proxy

import (
	"errors"
	"time"
)

// tellEvery is how often at most a door or a worker logs that it does not serve
// clients: whoever sends datagrams, or connects, must not fill a log, too.
const tellEvery = 10 * time.Second

var errManyFlows = errors.New("there are as many clients as there may be (MaxFlows)")

// A refusal is what is known of clients that were not served for a reason
// that somebody should do something about: datagrams that began no flow, or
// connections.
type refusal struct {
	count  uint64        // since it was logged
	logged time.Duration // when, if ever
	ever   bool
}

// rests reports whether it was logged not long ago.
func (r *refusal) rests(now time.Duration) bool { return r.ever && now < r.logged+tellEvery }

// told begins anew, and returns how many there were.
func (r *refusal) told(now time.Duration) uint64 {
	n := r.count
	*r = refusal{ever: true, logged: now}
	return n
}

// crowd notes a connection that is too many.
func (w *worker) crowd(s *Session) {
	now := w.l.Now()
	w.unserved.count++
	if w.unserved.rests(now) {
		return
	}
	w.l.Log().Warn("new clients are reset: there are as many as there may be (MaxSessions)", "limit", w.p.o.MaxSessions,
		"listener", s.listener.url(), "client", s.peer.String(), "clients", w.unserved.told(now))
}

// refuse counts n datagrams that begin no flow. err is nil if that is as it
// should be: by a filter, or in a drain.
func (r *door) refuse(key *flowKey, n int, err error) {
	r.refused.Add(uint64(n))
	if err == nil {
		return
	}
	r.unserved.count += uint64(n)
	now := r.l.Now()
	rests := r.unserved.rests(now)
	if rests && r.trouble.Load() != nil {
		return
	}
	text := err.Error()
	r.trouble.Store(&text)
	if rests {
		return
	}
	r.l.Log().Warn("datagrams of new clients are dropped", "err", text, "listener", r.addr.String(),
		"client", key.client.String(), "datagrams", r.unserved.told(now))
}

// serves notes that new clients are served.
func (r *door) serves() {
	if r.trouble.Load() != nil {
		r.trouble.Store(nil)
	}
}
