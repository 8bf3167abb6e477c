package backendtest

import "mobius/proactor"

// An echo sends back what it receives, from the lent bytes themselves: it
// holds each piece until it is sent. Asked for a hold, it does what
// [proactor.Evictor] says: it copies what is still to be sent.
type echo struct {
	d          *driver
	recv, send *probe
	queue      []chunk // still to be sent, oldest first; the first one is being sent if send is live
	evicted    int
	done       bool // the peer has finished and everything was sent
}

// A chunk is a held piece, or a copy of one.
type chunk struct {
	bytes []byte
	hold  *proactor.Hold // nil: bytes are a copy
	give  bool           // give hold back as soon as the send that uses it has ended
}

func newEcho(s stream) *echo {
	e := &echo{d: s.d, recv: s.d.probe(proactor.OpRecv, s.h), send: s.d.probe(proactor.OpSend, s.h)}
	e.recv.on, e.send.on = e.received, e.sent
	s.d.atEnd = append(s.d.atEnd, e.drop)
	return e
}

func (e *echo) received() {
	if op := &e.recv.Op; len(op.Buf) > 0 {
		h := e.d.b.Hold(op, e)
		e.queue = append(e.queue, chunk{bytes: h.Bytes, hold: h})
	}
	e.pump()
}

func (e *echo) pump() {
	switch {
	case e.send.live:
	case len(e.queue) > 0:
		e.send.Buf = e.queue[0].bytes
		e.send.submit()
	case !e.recv.live:
		e.done = true
	}
}

func (e *echo) sent() {
	c := &e.queue[0]
	c.bytes = c.bytes[e.send.Op.N:]
	switch err := e.send.Op.Err; {
	case err != nil && err != proactor.ErrCanceled:
		e.drop()
		return
	case len(c.bytes) > 0 && c.give:
		c.copyOut()
	case len(c.bytes) == 0:
		c.release()
		e.queue = e.queue[:copy(e.queue, e.queue[1:])]
	}
	e.pump()
}

// Evict implements [proactor.Evictor].
func (e *echo) Evict(h *proactor.Hold) {
	if e.d.calling || e.d.completing && e.d.elsewhere() {
		e.d.report("sentence 3b: Evict not on the loop's goroutine, or inside Submit")
	}
	e.evicted++
	for i := range e.queue {
		c := &e.queue[i]
		if c.hold != h {
			continue
		}
		if c.give {
			e.d.report("sentence 3b: a hold was asked back twice")
		}
		if i == 0 && e.send.live {
			c.give = true
			e.send.cancel()
		} else {
			c.copyOut()
		}
		return
	}
	e.d.report("sentence 3b: a hold was asked back that had been released")
}

// drop releases everything: the stream is dead.
func (e *echo) drop() {
	for i := range e.queue {
		e.queue[i].release()
	}
	e.queue = nil
}

func (c *chunk) copyOut() {
	c.bytes = append([]byte(nil), c.bytes...)
	c.release()
}

func (c *chunk) release() {
	if c.hold != nil {
		c.hold.Release()
		c.hold = nil
	}
}
