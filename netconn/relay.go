package netconn

import (
	"bytes"
	"io"
	"math"
	"net"

	"mobius/proactor"
)

// ReadFrom writes what src has, until its end (io.ReaderFrom): io.Copy calls it.
// What another connection of this package receives does not pass through a
// goroutine if both live on one loop: the loop relays it, by splice(2) if it is much.
// Else it is written from where it was received. A regular file is sent by
// sendfile(2), from its offset on. io.LimitedReaders of these are known. All else is
// read and written in pieces of 32 KiB.
//
// It returns how many bytes src gave and the kernel took; what was received and
// not written, by a connection of this package, is still there to be read. The
// end of src is no error. While it runs Writes wait, and Reads of a src that is a
// connection. Any goroutine but a loop's.
func (c *Conn) ReadFrom(src io.Reader) (int64, error) {
	n, err := c.readFrom(src)
	if err != nil {
		err = &net.OpError{Op: "readfrom", Net: c.network, Source: c.local, Addr: c.remote, Err: err}
	}
	return n, err
}

func (c *Conn) readFrom(src io.Reader) (int64, error) {
	limit, from := int64(math.MaxInt64), src
	limited, _ := src.(*io.LimitedReader)
	if limited != nil {
		if limit, from = limited.N, limited.R; limit <= 0 {
			return 0, nil
		}
	}
	var n int64
	var err error
	handled := true
	if s := connOf(from); s != nil {
		n, err = c.draw(s, limit)
		err = inCall("splice", err)
	} else if n, handled, err = c.sendFile(from, limit); handled {
		err = inCall("sendfile", err)
	}
	if !handled {
		return io.Copy(onlyWriter{c}, src)
	}
	if limited != nil {
		limited.N -= n
	}
	return n, err
}

// WriteTo writes what the connection receives to w, until the end of the stream
// (io.WriterTo): io.Copy calls it. If w is a connection of this package it is
// ReadFrom of that. Any goroutine but a loop's.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, onlyReader{c})
	if err != nil {
		err = &net.OpError{Op: "writeto", Net: c.network, Source: c.local, Addr: c.remote, Err: err}
	}
	return n, err
}

// onlyWriter and onlyReader hide from io.Copy what would be called again.
type (
	onlyWriter struct{ c *Conn }
	onlyReader struct{ c *Conn }
)

// Write is the connection's.
func (o onlyWriter) Write(p []byte) (int, error) { return o.c.Write(p) }

// Read is the connection's.
func (o onlyReader) Read(p []byte) (int, error) { return o.c.Read(p) }

// connOf returns the connection that r is, nil if it is none of this package.
func connOf(r io.Reader) *Conn {
	switch r := r.(type) {
	case *TCPConn:
		return &r.Conn
	case *UnixConn:
		return &r.Conn
	case onlyReader:
		return r.c
	}
	return nil
}

// draw writes what s receives, until its end, or limit bytes.
func (c *Conn) draw(s *Conn, limit int64) (total int64, err error) {
	c.w.turn.Lock() // that to write is always taken first
	defer c.w.turn.Unlock()
	s.r.turn.Lock()
	defer s.r.turn.Unlock()
	relays := s.l == c.l && s != c
	stopped := false
	defer func() {
		if stopped {
			s.resumeReceiving()
		}
	}()
	for {
		n, more, err := c.pass(s, limit-total)
		total += n
		switch {
		case err != nil || !more || total == limit:
			return total, err
		case !relays:
			s.awaitBytes()
		case !stopped:
			stopped = true
			if err := s.stopReceiving(); err != nil {
				return total, err
			}
		default:
			if n, relays, err = c.relay(s, limit-total); err != nil {
				return total + n, err
			}
			total += n
			if !relays {
				stopped = false
				s.resumeReceiving()
			}
		}
	}
}

// pass writes what s keeps, at most limit bytes, and reports whether more may
// come. The turns are the caller's.
func (c *Conn) pass(s *Conn, limit int64) (total int64, more bool, err error) {
	r := &s.r
	r.mu.Lock()
	defer r.mu.Unlock()
	s.useLocked()
	for total < limit {
		if err := s.unreadable(); err != nil {
			return total, false, err
		}
		h := r.q.head
		if h == nil {
			err := r.err
			if err == io.EOF {
				err = nil
			}
			return total, r.err == nil && !r.shut, err
		}
		n, err := c.passPiece(s, h, int(min(limit-total, int64(len(h.bytes)))))
		total += int64(n)
		if s.roomy() {
			s.post()
		}
		if err != nil {
			return total, false, err
		}
	}
	return total, true, nil
}

// passPiece writes the first n bytes of s's first piece: from where they lie what
// the socket takes at once, and the rest, which may last, from memory that nobody
// waits for. s.r.mu is held, but not meanwhile.
func (c *Conn) passPiece(s *Conn, h *piece, n int) (int, error) {
	r := &s.r
	b := h.bytes[:n]
	h.busy = true
	r.mu.Unlock()
	k := 0
	err := c.unwritable()
	if err == nil {
		c.w.vec[0] = b
		k, err = c.try(c.w.vec[:])
		c.w.vec[0] = nil
	}
	if err == nil && k < n {
		b = bytes.Clone(b[k:])
	}
	r.mu.Lock()
	h.busy = false
	s.consume(h, k)
	if err != nil || k == n {
		return k, err
	}
	r.mu.Unlock()
	m, err := c.sendRest(b, nil)
	r.mu.Lock()
	if !r.gone {
		s.consume(r.q.head, m)
	}
	return k + m, err
}

// awaitBytes waits until something has changed.
func (c *Conn) awaitBytes() {
	r := &c.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.unreadable() == nil && r.q.n == 0 && r.err == nil && !r.shut {
		r.await()
	}
}

// relay has the loop move what s receives, until its end, limit bytes, or until s
// or c is not to go on. s's receiving is halted and nothing is kept. It reports
// whether relaying may be tried again: not if the deadline of writing has ended it,
// which is an error only once there is something to write.
func (c *Conn) relay(s *Conn, limit int64) (int64, bool, error) {
	w := &c.w
	w.mu.Lock()
	if w.deadline.over() {
		w.mu.Unlock()
		return 0, false, nil
	}
	w.task, w.source, w.window = taskRelay, s, limit
	if limit == math.MaxInt64 {
		w.window = 0
	}
	w.stage, w.abort, w.moved = wanted, false, 0
	w.mu.Unlock()
	c.post()
	c.awaitRelay(s)
	defer w.mu.Unlock()
	w.stage, w.task, w.source = none, taskSend, nil
	over := c.closing()
	switch {
	case w.err == nil || w.err == io.EOF:
		return w.moved, true, nil
	case over != nil:
		return w.moved, false, over
	case w.side == proactor.Sink:
		return w.moved, false, w.err
	case w.err == proactor.ErrCanceled || w.side == proactor.Source:
		return w.moved, !w.deadline.over(), nil // s tells why
	}
	return w.moved, false, nil // what this backend does not relay is copied
}

// awaitRelay waits for the end of a relay, which both connections can bring
// about. When it returns w.mu is held.
func (c *Conn) awaitRelay(s *Conn) {
	w, r := &c.w, &s.r
	for {
		r.mu.Lock()
		over := s.unreadable() != nil || r.shut
		if !over {
			r.w.waiting = true
			r.deadline.arm()
		}
		r.mu.Unlock()
		w.mu.Lock()
		done := w.stage == sent
		abort := !done && !w.abort && (over || c.closing() != nil || w.deadline.over())
		w.abort = w.abort || abort
		if !done && !abort {
			w.w.waiting = true
			w.deadline.arm()
		}
		w.mu.Unlock()
		switch {
		case done:
		case abort:
			c.post()
		case over:
			<-w.w.ch
		default:
			select {
			case <-w.w.ch:
			case <-r.w.ch:
				w.mu.Lock()
				w.w.disarm(&w.mu)
				continue
			}
		}
		if !over {
			r.mu.Lock()
			r.w.disarm(&r.mu)
		}
		if done {
			w.mu.Lock()
			return
		}
	}
}

// relayed takes the result of a relay. Loop goroutine.
func (c *Conn) relayed(op *proactor.Op) {
	x, w := c.rare, &c.w
	s := x.source
	x.source, s.fed = nil, nil
	c.token.Share(c.h)
	r := &s.r
	r.mu.Lock()
	if len(x.relay.Rest) > 0 && !r.gone {
		p := r.q.get(r)
		p.bytes = x.relay.Rest
		r.q.push(p)
	}
	x.relay.Rest = nil
	if op.Err == io.EOF || x.relay.Side == proactor.Source && op.Err != nil {
		r.err = op.Err
	}
	r.mu.Unlock()
	w.mu.Lock()
	w.moved, w.side = x.relay.Moved.Load(), x.relay.Side
	w.end(0, op.Err)
	c.k.later(&w.w)
	w.mu.Unlock()
	if s.ending != nil {
		s.settle()
	}
}

var (
	_ io.ReaderFrom = (*Conn)(nil)
	_ io.WriterTo   = (*Conn)(nil)
)
