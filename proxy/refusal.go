package proxy

import (
	"errors"
	"time"
)

// tellEvery is how often at most a door logs that it does not serve clients:
// whoever sends datagrams must not fill a log, too.
const tellEvery = 10 * time.Second

var errManyFlows = errors.New("there are as many clients as there may be (MaxFlows)")

// A refusal is what a door knows of datagrams that began no flow for a reason
// that somebody should do something about.
type refusal struct {
	datagrams uint64        // since it was logged
	logged    time.Duration // when, if ever
	ever      bool
}

// refuse counts a datagram that begins no flow. err is nil if that is as it
// should be: by a filter, or in a drain.
func (r *door) refuse(key *flowKey, err error) {
	r.refused.Add(1)
	if err == nil {
		return
	}
	r.unserved.datagrams++
	now := r.l.Now()
	rests := r.unserved.ever && now < r.unserved.logged+tellEvery
	if rests && r.trouble.Load() != nil {
		return
	}
	text := err.Error()
	r.trouble.Store(&text)
	if rests {
		return
	}
	r.l.Log().Warn("datagrams of new clients are dropped", "err", text, "listener", r.addr.String(),
		"client", key.client.String(), "datagrams", r.unserved.datagrams)
	r.unserved = refusal{ever: true, logged: now}
}

// serves notes that new clients are served.
func (r *door) serves() {
	if r.trouble.Load() != nil {
		r.trouble.Store(nil)
	}
}
