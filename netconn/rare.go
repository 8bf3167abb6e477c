package netconn

import "mobius/proactor"

// A task is what a writer's errand is.
type task uint8

const (
	taskSend  task = iota // send what the socket did not take
	taskRoom              // wait until the socket takes something
	taskRelay             // move what another connection receives
)

// A rare is what few connections need. It is the loop's.
type rare struct {
	relay  proactor.Relay
	relays proactor.Op    // to this connection
	source *Conn          // of the relay under way
	polls  [2]proactor.Op // for reading, for writing
}

// seldom returns c's rare. Loop goroutine.
func (c *Conn) seldom() *rare {
	if c.rare == nil {
		x := &rare{}
		e := (*events)(c)
		x.relay.Dst = c.h
		x.relays = proactor.Op{Kind: proactor.OpRelay, Owner: e, Relay: &x.relay}
		x.polls[0] = proactor.Op{Kind: proactor.OpPoll, Handle: c.h, Owner: e, Events: proactor.Readable}
		x.polls[1] = proactor.Op{Kind: proactor.OpPoll, Handle: c.h, Owner: e, Events: proactor.Writable}
		c.rare = x
	}
	return c.rare
}

// busy reports whether an operation that is not c's recv or send uses c's
// descriptor. Loop goroutine.
func (c *Conn) busy() bool {
	x := c.rare
	return c.fed != nil || x != nil && (x.relays.Active() || x.polls[0].Active() || x.polls[1].Active())
}

// cancelRare has what busy tells of end. Loop goroutine.
func (c *Conn) cancelRare() {
	if c.fed != nil {
		c.l.Cancel(c.fed)
	}
	if x := c.rare; x != nil {
		c.l.Cancel(&x.relays)
		c.l.Cancel(&x.polls[0])
		c.l.Cancel(&x.polls[1])
	}
}

// mayBegin reports whether the loop may do the writer's errand. w.mu is held, on
// the loop's goroutine.
func (c *Conn) mayBegin() bool {
	if c.ending != nil {
		return false
	}
	switch w := &c.w; w.task {
	case taskRoom:
		return true
	case taskRelay:
		return w.source.ending == nil && !w.source.recv.Active() && c.token.Keep(c.h)
	}
	return c.token.Keep(c.h)
}

// errandOp returns the operation that does the errand. Loop goroutine.
func (c *Conn) errandOp() *proactor.Op {
	switch c.w.task {
	case taskRoom:
		return &c.seldom().polls[1]
	case taskRelay:
		return &c.seldom().relays
	}
	return &c.send
}

// beginErrand submits it. Loop goroutine.
func (c *Conn) beginErrand(op *proactor.Op) {
	switch w := &c.w; op {
	case &c.send:
		op.Buf, op.Bufs = w.rest, w.more
	case &c.seldom().relays:
		x := c.rare
		x.source, w.source.fed = w.source, op
		op.Handle, x.relay.Window = w.source.h, w.window
		x.relay.Moved.Store(0)
	}
	c.l.Submit(op)
}

// rarely takes the result of an operation of the rare's. Loop goroutine.
func (c *Conn) rarely(op *proactor.Op) {
	switch op {
	case &c.rare.relays:
		c.relayed(op)
	case &c.rare.polls[0]:
		r := &c.r
		r.mu.Lock()
		r.polling = false
		c.k.later(&r.w)
		r.mu.Unlock()
	default:
		w := &c.w
		w.mu.Lock()
		w.end(0, op.Err)
		c.k.later(&w.w)
		w.mu.Unlock()
	}
}
