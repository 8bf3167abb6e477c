package transport

import (
	"mobius/proactor"
)

// The most bytes of one send. While a connection is being closed, what one
// send takes is what counts as progress on backends that only tell the end of
// it, so it is less then.
const (
	maxSend        = 256 << 10
	maxSendLeaving = 64 << 10
)

// Write queues a copy of p; see [Transport].
func (c *Conn) Write(p []byte) (int, error) {
	c.check()
	if c.flags.has(covered) {
		return c.rare.cover.Write(p)
	}
	return c.write(p)
}

func (c *Conn) write(p []byte) (int, error) {
	if err := c.admit(len(p)); err != nil {
		return 0, err
	}
	if len(p) > 0 {
		c.enqueue(p)
		c.written()
	}
	return len(p), nil
}

// Writev queues copies of bufs; see [Transport].
func (c *Conn) Writev(bufs [][]byte) (int, error) {
	c.check()
	if c.flags.has(covered) {
		return c.rare.cover.Writev(bufs)
	}
	return c.writev(bufs)
}

func (c *Conn) writev(bufs [][]byte) (int, error) {
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	if err := c.admit(n); err != nil {
		return 0, err
	}
	for _, b := range bufs {
		if len(b) > 0 {
			c.enqueue(b)
		}
	}
	if n > 0 {
		c.written()
	}
	return n, nil
}

// WriteOwned queues buf itself; see [Transport].
func (c *Conn) WriteOwned(buf []byte, release func()) error {
	c.check()
	if c.flags.has(covered) {
		return c.rare.cover.WriteOwned(buf, release)
	}
	return c.writeOwned(buf, release)
}

func (c *Conn) writeOwned(buf []byte, release func()) error {
	err := c.admit(len(buf))
	if err != nil || len(buf) == 0 {
		if release != nil {
			c.call(releaseOwned, release)
		}
		return err
	}
	s := c.pool.get(bare)
	s.kind, s.bytes, s.release = owned, buf, release
	c.out.push(s)
	c.written()
	return nil
}

// Queued returns how many bytes wait to be taken by the kernel; of a layer's
// if one stands on the connection.
func (c *Conn) Queued() int {
	if q, ok := c.over().(Queuer); ok {
		return q.Queued()
	}
	return c.queued()
}

// queued counts what the send under way has done so far, where the backend tells.
func (c *Conn) queued() int {
	if c.send.Active() {
		return c.out.n - c.flying + c.send.Remaining()
	}
	return c.out.n
}

// Room returns how many bytes a Write takes now.
func (c *Conn) Room() int {
	if q, ok := c.over().(Queuer); ok {
		return q.Room()
	}
	return c.room()
}

func (c *Conn) room() int {
	if !c.state.in(writable) {
		return 0
	}
	return max(c.o.hardLimit()-c.out.n, 0)
}

// admit returns why n bytes cannot be queued, nil if they can.
func (c *Conn) admit(n int) error {
	if !c.state.in(writable) {
		return ErrNotWritable
	}
	if n > c.o.hardLimit()-c.out.n {
		return ErrFull
	}
	return nil
}

func (c *Conn) enqueue(p []byte) {
	if !c.writeLent(p) {
		c.pool.copy(&c.out, p)
	}
}

// written has the queue sent at the end of the turn, and tells the protocol
// once if it has grown too long.
func (c *Conn) written() {
	if c.flying == 0 {
		c.l.AtTurnEnd(&c.flush)
		c.heat()
	}
	if (c.out.n > c.o.highWater() || c.filesQueued() > pauseFiles) && !c.flags.has(full) {
		c.flags |= full
		if c.flags.has(drainer) {
			c.call(pauseWriting, nil)
		}
	}
}

// transmit sends what is queued, unless a send is under way. What is written at
// once does not touch c.send, three cache lines.
func (c *Conn) transmit() {
	if c.flying > 0 || !c.state.in(alive) {
		return
	}
	files := c.filesQueued()
	if files > c.out.n {
		c.die(Failed, "write", ErrFileOverrun)
		return
	}
	if c.out.n == 0 {
		c.flushed()
		return
	}
	limit := maxSend
	if c.state.in(flushable) {
		limit = maxSendLeaving
	}
	if files == 0 && c.zeroCopy(limit) {
		c.begin()
		return
	}
	pieces := c.gather(limit)
	if c.flying >= c.pool.writeFrom && files == 0 {
		n, err := c.l.TryWrite(c.recv.Handle, pieces)
		pieces = c.tried(n, err, limit)
	}
	if pieces != nil {
		c.submit(pieces)
	}
}

// writeWhole writes what is queued, if that is one piece of the connection's own memory
// and nothing else is under way, and reports whether it has dealt with it: that is what nearly
// every turn of nearly every connection ends with. All else is transmit's.
func (c *Conn) writeWhole() bool {
	s := c.out.head
	if s == nil || s.next != nil || s.kind != own || c.state != open || c.flying > 0 || c.rare != nil ||
		c.flags.has(full|evicting) || c.out.n < c.pool.writeFrom || c.out.n > maxSend {
		return false
	}
	c.pool.one[0] = s.bytes
	n, err := c.l.TryWrite(c.recv.Handle, c.pool.one[:])
	if err == nil && n == c.out.n {
		c.out = queue{}
		c.pool.put(s)
		c.progress(paced | flushing)
		return true
	}
	c.flying = c.out.n
	if pieces := c.tried(n, err, maxSend); pieces != nil {
		c.submit(pieces)
	}
	return true
}

// tried deals with the result of writing what has been gathered, and returns what a
// Send is needed for: what the kernel had no room for, gathered anew, or nil.
func (c *Conn) tried(n int, err error, limit int) [][]byte {
	short := err == nil && n < c.flying
	switch {
	case !c.moved(n, err):
	case c.out.n == 0:
		c.flushed()
	case !short:
		c.l.AtTurnEnd(&c.flush) // others have their turn
	default:
		return c.gather(limit)
	}
	return nil
}

// submit begins a Send of pieces.
func (c *Conn) submit(pieces [][]byte) {
	c.send.Buf = pieces[0]
	if c.vec != nil {
		c.send.Bufs = pieces[1:]
	}
	c.attach()
	c.begin()
}

// begin submits the Send that has been prepared.
func (c *Conn) begin() {
	c.rest = c.flying
	c.l.Submit(&c.send)
	c.watch()
}

// gather returns the pieces of a send from the head of the queue. They are good
// until the next one of any connection, or if they are many until it has moved.
func (c *Conn) gather(limit int) [][]byte {
	s := c.out.head
	first := s.bytes
	if len(first) > limit {
		first = first[:limit]
	}
	c.flying = len(first)
	if s.next == nil || c.flying == limit || c.pinnable(s.next) {
		c.pool.one[0] = first
		return c.pool.one[:]
	}
	v := c.pool.getVector()
	v.bufs[0], v.n = first, 1
	for s = s.next; s != nil && v.n < maxPieces && c.flying < limit && !c.pinnable(s); s = s.next {
		b := s.bytes
		if len(b) > limit-c.flying {
			b = b[:limit-c.flying]
		}
		v.bufs[v.n] = b
		v.n++
		c.flying += len(b)
	}
	c.vec = v
	return v.bufs[:v.n]
}

// sent takes the result of the Send.
func (c *Conn) sent(op *proactor.Op) {
	if c.taken(op) && (c.out.n > 0 || c.state.in(flushable)) {
		c.l.AtTurnEnd(&c.flush)
	}
}

// taken accounts for what a Send has moved, and reports whether writing goes on.
func (c *Conn) taken(op *proactor.Op) bool {
	op.Buf, op.Bufs, op.Pin = nil, nil, nil
	c.detached(op)
	return c.moved(op.N, op.Err)
}

// moved accounts for n bytes that the kernel took, and for why it took no more, and
// reports whether writing goes on.
func (c *Conn) moved(n int, err error) bool {
	if c.vec != nil {
		c.pool.putVector(c.vec)
		c.vec = nil
	}
	c.flying = 0
	c.consume(n)
	c.evictAsked()
	if !c.state.in(alive) {
		return false
	}
	if n > 0 {
		c.progress(paced | flushing)
	}
	if err != nil && err != proactor.ErrCanceled {
		c.writeFailed(err)
		return false
	}
	c.drained()
	return c.state.in(alive)
}

// consume takes n bytes off the head of the queue.
func (c *Conn) consume(n int) {
	for n > 0 {
		s := c.out.head
		k := min(n, len(s.bytes))
		s.bytes = s.bytes[k:]
		c.out.n -= k
		n -= k
		if len(s.bytes) == 0 {
			c.drop(c.out.pop())
		}
	}
}

// drop gives back the memory of a piece that has left the output queue.
func (c *Conn) drop(s *segment) {
	switch s.kind {
	case held:
		s.hold.Drop()
	case owned:
		if s.pins > 0 {
			s.gone = true
			return
		}
		release := s.release
		c.pool.put(s)
		if release != nil {
			c.call(releaseOwned, release)
		}
		return
	}
	c.pool.put(s)
}

// dropOutput forgets what was not sent.
func (c *Conn) dropOutput() {
	c.dropFiles()
	for c.out.head != nil {
		c.drop(c.out.pop())
	}
}

// drained tells the protocol once that the queue is short again. The mark is
// taken down first, since it may write so much that it is told to pause anew.
func (c *Conn) drained() {
	if !c.flags.has(full) || c.out.n > c.o.lowWater() || c.filesQueued() > pauseFiles {
		return
	}
	c.flags &^= full
	if c.flags.has(drainer) && c.state.in(writable) {
		c.call(resumeWriting, nil)
	}
}

// writeFailed ends the writing side. What the peer has sent before may still
// be on its way up: an answer that says why it stopped reading, for example.
func (c *Conn) writeFailed(err error) {
	if !c.state.in(delivers) || c.ended != nil || c.flags.has(paused) {
		c.die(Lost, "write", err)
		return
	}
	c.why = c.reason(Lost, "write", err)
	c.enter(failing)
	c.dropOutput()
}
