package transport

import (
	"runtime/debug"

	"mobius/loop"
	"mobius/proactor"
)

// A callback names a method of the protocol's.
type callback uint8

const (
	connectionMade callback = iota
	readConnectionLost
	writeConnectionLost
	pauseWriting
	resumeWriting
	connectionLost
	releaseOwned
)

// call calls the protocol. A panic in it is the connection's end and nobody
// else's. All calls but DataReceived go through here: one deferred function,
// no closure.
func (c *Conn) call(what callback, release func()) {
	defer c.returned()
	switch what {
	case connectionMade:
		c.p.ConnectionMade(c)
	case connectionLost:
		c.p.ConnectionLost(c.why)
	case readConnectionLost, writeConnectionLost:
		h, _ := As[HalfCloser](c.p)
		if what == readConnectionLost {
			h.ReadConnectionLost()
		} else {
			h.WriteConnectionLost()
		}
	case pauseWriting, resumeWriting:
		d, _ := As[Drainer](c.p)
		if what == pauseWriting {
			d.PauseWriting()
		} else {
			d.ResumeWriting()
		}
	case releaseOwned:
		release()
	}
}

// returned is deferred around each call of the protocol's.
func (c *Conn) returned() {
	if v := recover(); v != nil {
		c.panicked(v)
	}
}

// panicked makes a panic the reason of the end, whatever the reason was
// before.
func (c *Conn) panicked(v any) {
	c.l.Report(loop.Trouble{Kind: loop.Panicked, Who: LogPrefix(c.p), Value: v, Stack: debug.Stack()})
	c.die(Panicked, "protocol", &PanicError{Value: v})
}

// data delivers what op has just lent.
func (c *Conn) data(op *proactor.Op) {
	defer c.delivered()
	p := op.Buf
	c.pool.lent = lent{bytes: p, op: op}
	c.p.DataReceived(p[:len(p):len(p)])
}

// dataKept delivers what was received during a pause.
func (c *Conn) dataKept(s *segment) {
	defer c.delivered()
	p := s.bytes
	c.pool.lent = lent{bytes: p, hold: s.hold, kept: s}
	c.p.DataReceived(p[:len(p):len(p)])
}

// delivered is deferred around DataReceived: the lent bytes end here.
func (c *Conn) delivered() {
	t := &c.pool.lent
	hold, kept := t.hold, t.kept
	*t = lent{}
	if hold != nil { // no Write has taken it over
		hold.Drop()
	}
	if kept != nil {
		kept.hold = nil
		c.pool.put(kept)
	}
	if v := recover(); v != nil {
		c.panicked(v)
	}
	c.pool.strike()
}
