package netconn

import (
	"bufio"
	"io"
)

// Peek waits until n bytes have come, at most Options.ReadBuffer, and returns
// them without reading them: they are valid until the next method that reads. It
// does not copy what lies in one piece of the connection's own memory; what the
// backend's buffers hold is copied once, so that whoever sits on it keeps no
// buffer from other connections. If the stream ends before, Peek returns what
// there is, and why. n is 1 at least; more than can be is bufio.ErrBufferFull.
func (c *Conn) Peek(n int) ([]byte, error) {
	r := &c.r
	r.turn.Lock()
	defer r.turn.Unlock()
	return c.peek(n, "read")
}

// Next is Peek and Discard: the bytes are read, and valid until the next method
// that reads.
func (c *Conn) Next(n int) ([]byte, error) {
	r := &c.r
	r.turn.Lock()
	defer r.turn.Unlock()
	p, err := c.peek(n, "read")
	r.mu.Lock()
	r.used = len(p)
	r.mu.Unlock()
	return p, err
}

// Discard reads n bytes and forgets them; it returns how many, fewer only with
// an error.
func (c *Conn) Discard(n int) (int, error) {
	r := &c.r
	r.turn.Lock()
	defer r.turn.Unlock()
	done := 0
	for done < n {
		p, err := c.peek(1, "read")
		k := min(len(p), n-done)
		r.mu.Lock()
		r.used = k
		c.useLocked()
		r.mu.Unlock()
		if done += k; err != nil {
			return done, err
		}
	}
	return done, nil
}

// useLocked takes off what Next has lent. r.mu is held.
func (c *Conn) useLocked() {
	r := &c.r
	if r.used == 0 {
		return
	}
	n := min(r.used, r.q.n)
	r.used = 0
	if r.q.head != nil {
		c.consume(r.q.head, n)
	}
	if c.roomy() {
		c.post()
	}
}

// peek is Peek by whoever has the turn. Of a wait for one byte it returns the
// whole first piece.
func (c *Conn) peek(n int, op string) ([]byte, error) {
	r := &c.r
	n = max(n, 1)
	if n > c.o.ReadBuffer {
		return nil, c.opError(op, bufio.ErrBufferFull)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c.useLocked()
	for {
		if err := c.unreadable(); err != nil {
			return nil, c.opError(op, err)
		}
		if r.q.n >= n {
			return c.together(n), nil
		}
		if r.err != nil || r.shut {
			err := r.err
			if err == nil {
				err = io.EOF
			}
			if err != io.EOF {
				err = c.opError(op, err)
			}
			if r.q.n == 0 {
				return nil, err
			}
			return c.together(r.q.n), err
		}
		c.awaitLocked()
		r.mu.Lock()
	}
}

// together returns the first n bytes in one piece of the connection's own
// memory. r.mu is held.
func (c *Conn) together(n int) []byte {
	r := &c.r
	h := r.q.head
	if len(h.bytes) < n {
		all := make([]byte, 0, n)
		for len(all) < n {
			h = r.q.head
			k := min(n-len(all), len(h.bytes))
			all = append(all, h.bytes[:k]...)
			c.consume(h, k)
		}
		h = r.q.get(r)
		h.bytes = all
		if h.next = r.q.head; h.next == nil {
			r.q.tail = h
		}
		r.q.head = h
		r.q.n += n
	}
	if h.hold != nil {
		h.own()
	}
	h.lent = true
	return h.bytes[:n:n]
}

// Writev writes all bufs in order, as one Write: with as few system calls as can
// be (writev(2)). net.Buffers.WriteTo knows connections of package net only, and
// calls Write for each buffer of others. bufs is not changed.
func (c *Conn) Writev(bufs [][]byte) (int64, error) {
	w := &c.w
	w.turn.Lock()
	defer w.turn.Unlock()
	total := 0
	for _, b := range bufs {
		total += len(b)
	}
	err := c.unwritable()
	if err != nil || total == 0 {
		if err != nil {
			err = c.opError("write", err)
		}
		return 0, err
	}
	n, err := c.try(bufs)
	if err == nil && n < total {
		rest := after(bufs, n)
		var k int
		k, err = c.sendRest(rest[0], rest[1:])
		n += k
	}
	if err != nil {
		err = c.opError("write", err)
	}
	return int64(n), err
}

// after returns what comes behind the first n bytes, which is something.
func after(bufs [][]byte, n int) [][]byte {
	for n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	return append([][]byte{bufs[0][n:]}, bufs[1:]...)
}
