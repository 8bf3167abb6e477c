package transport

import (
	"io"

	"mobius/proactor"
)

// received takes a result of the Recv.
func (c *Conn) received(op *proactor.Op) {
	if op.N > 0 {
		c.take(op)
	}
	if !op.More {
		c.recvEnded(op.Err)
	}
}

// take deals with lent bytes: they are delivered, kept for later, or dropped.
func (c *Conn) take(op *proactor.Op) {
	files := c.came(op)
	if !c.state.in(delivers) && c.state != detaching {
		c.discard(files)
		return
	}
	c.progress(paced)
	stopped := c.flags.has(paused) || c.state == detaching
	if !stopped && c.in.n == 0 {
		if files != nil {
			c.handFiles(files)
			files = nil
			if !c.state.in(delivers) {
				return
			}
			stopped = c.flags.has(paused)
		}
		if !stopped {
			c.data(op)
			return
		}
	}
	c.keep(op, files)
	if stopped && op.More {
		// Only now: a paused connection that is idle goes on waiting, so that
		// it learns of its peer's end.
		c.l.Cancel(op)
	}
}

// recvEnded takes the last result of the Recv.
func (c *Conn) recvEnded(err error) {
	if !c.state.in(alive) || err == proactor.ErrCanceled {
		return // whoever wants to read again has said so, by Resume
	}
	c.ended = err
	switch {
	case c.state.in(delivers):
		if c.in.n == 0 && !(c.flags.has(paused) && err == io.EOF) {
			c.inputEnded()
		}
	case err != io.EOF:
		c.die(Lost, "read", err)
	case c.state == lingering:
		c.die(Done, "close", closedHere)
	}
}

// inputEnded acts on the end of the input, all of which was delivered.
func (c *Conn) inputEnded() {
	c.flags |= peerDone
	half := c.flags.has(halfCloser)
	switch {
	case c.ended != io.EOF || c.state == failing:
		c.die(Lost, "read", c.ended)
	case c.state == shutting || c.state == shut:
		if half {
			c.call(readConnectionLost, nil)
		}
		if c.state == shut {
			c.die(Done, "read", io.EOF)
		}
	case half:
		c.enter(readDone)
		c.call(readConnectionLost, nil)
	default:
		c.why = c.reason(Done, "read", io.EOF)
		c.enter(losing)
		c.l.AtTurnEnd(&c.flush)
	}
}

// PauseReading stops DataReceived; see [Transport].
func (c *Conn) PauseReading() {
	c.check()
	if c.flags.has(covered) {
		c.rare.cover.PauseReading()
		return
	}
	c.pause()
}

func (c *Conn) pause() {
	if c.state == failing {
		c.die(Lost, "write", nil)
	}
	if c.state.in(delivers) {
		c.flags |= paused
	}
}

// ResumeReading lets DataReceived go on; see [Transport].
func (c *Conn) ResumeReading() {
	c.check()
	if c.flags.has(covered) {
		c.rare.cover.ResumeReading()
		return
	}
	c.resume()
}

func (c *Conn) resume() {
	if !c.flags.has(paused) {
		return
	}
	c.flags &^= paused
	if !c.state.in(delivers) {
		return
	}
	if c.in.n > 0 || c.ended != nil {
		c.l.AtTurnEnd(&c.flush)
	} else {
		c.l.Resume(&c.recv)
	}
}

// deliver hands out what was kept during a pause, and the end after it.
func (c *Conn) deliver() {
	if c.in.n == 0 && (c.ended == nil || c.flags.has(peerDone)) {
		return
	}
	for c.in.n > 0 {
		if !c.state.in(delivers) || c.flags.has(paused) {
			return
		}
		c.handParcels()
		if !c.state.in(delivers) || c.flags.has(paused) {
			return
		}
		s := c.in.pop()
		c.passed(len(s.bytes))
		c.dataKept(s)
	}
	switch {
	case !c.state.in(delivers) || c.flags.has(paused):
	case c.ended == nil:
		c.l.Resume(&c.recv)
	case !c.flags.has(peerDone):
		c.inputEnded()
	}
}

// keep keeps lent bytes for later: held if they are many, else copied.
func (c *Conn) keep(op *proactor.Op, files []int) {
	if files != nil {
		c.keepFiles(files)
	}
	if h := c.hold(op, op.N); h != nil {
		s := c.pool.get(bare)
		s.kind, s.bytes, s.hold = held, h.Bytes, h
		c.in.push(s)
		return
	}
	if files == nil {
		c.pool.copy(&c.in, op.Buf)
		return
	}
	var apart queue // so that the descriptors come between the bytes before and these
	c.pool.copy(&apart, op.Buf)
	for apart.head != nil {
		c.in.push(apart.pop())
	}
}

// dropInput forgets what was received but not delivered.
func (c *Conn) dropInput() {
	c.dropParcels()
	for c.in.head != nil {
		s := c.in.pop()
		if s.hold != nil {
			s.hold.Release()
		}
		c.pool.put(s)
	}
}
