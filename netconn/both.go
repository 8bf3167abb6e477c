package netconn

import (
	"net"
	"os"

	"mobius"
	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
	"mobius/transport/tls"
)

// Hijack makes a net.Conn of a Protocol's transport: a *TCPConn or a *UnixConn, on
// the same loop. What was written before is flushed, the Protocol is told
// ConnectionLost of Kind Detached, and then done gets the connection, which begins
// with what was received and not delivered; or why there is none. done is called
// once, on the loop's goroutine, so it must not block: it starts a goroutine, for
// example. An error says that it is not called: mobius/transport.ErrNotWritable,
// unless the writing side is open.
//
// The transport of a protocol that speaks over TLS gives a *crypto/tls.Conn on top of
// such a connection, with the keys and what was received and not opened; not before
// its handshake is complete. The other way round there is none: what a tls.Conn has
// read ahead and its keys cannot be had from outside, so what is to be a transport
// again is detached before its handshake, or not at all. Another layer gives what its
// Detach does. Loop goroutine.
func Hijack(t mobius.Transport, o Options, done func(net.Conn, error)) error {
	if s, ok := transport.As[*tls.Conn](t); ok {
		return hijackTLS(s, o, done)
	}
	l, local, remote := t.Loop(), t.LocalAddr().NetAddr(), t.RemoteAddr().NetAddr()
	return t.Detach(func(h proactor.Handle, unread []byte, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		done(hijacked(l, h, local, remote, unread, o.resolved()), nil)
	})
}

func hijackTLS(t *tls.Conn, o Options, done func(net.Conn, error)) error {
	l, local, remote := t.Loop(), t.LocalAddr().NetAddr(), t.RemoteAddr().NetAddr()
	return t.HandOff(func(keys tls.Handover, h proactor.Handle, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		done(keys.Over(hijacked(l, h, local, remote, nil, o.resolved())), nil)
	})
}

func hijacked(l *loop.Loop, h proactor.Handle, local, remote net.Addr, unread []byte, o *Options) net.Conn {
	conn := newStream(l, h, local, remote, o)
	c := streamOf(conn)
	c.r.mu.Lock()
	if len(unread) > 0 {
		p := c.r.q.get(&c.r)
		p.bytes = unread
		c.r.q.push(p)
	}
	c.r.mu.Unlock()
	return conn
}

func streamOf(conn net.Conn) *Conn {
	switch c := conn.(type) {
	case *TCPConn:
		return &c.Conn
	case *UnixConn:
		return &c.Conn
	}
	return nil
}

// Detach gives the connection away, to [mobius.Reactor.AdoptStreamConnection] for
// example: its descriptor, the caller's now, and what was received and not read.
// Afterwards the connection is as after Close; whoever is blocked in a Read or a
// Write has been woken with net.ErrClosed, and what such a Write has not sent is
// not sent. If the stream has failed, or the reactor has stopped, there is an
// error and the connection stays what it is.
func (c *Conn) Detach() (*os.File, []byte, error) {
	fail := func(err error) (*os.File, []byte, error) {
		return nil, nil, &net.OpError{Op: "detach", Net: c.network, Source: c.local, Addr: c.remote, Err: err}
	}
	d := &detaching{done: make(chan struct{})}
	c.borrow.Lock()
	if err := c.closing(); err != nil || c.taker != nil {
		c.borrow.Unlock()
		if err == nil {
			err = net.ErrClosed
		}
		return fail(err)
	}
	c.taker = d
	c.borrow.Unlock()
	c.state.CompareAndSwap(live, closed)
	c.wakeAll()
	c.r.turn.Lock() // nobody takes bytes off any more
	defer c.r.turn.Unlock()
	c.post()
	select {
	case <-d.done:
	case <-c.l.Done():
		return fail(errStopped)
	}
	if d.err != nil {
		return fail(inCall("detach", d.err))
	}
	return os.NewFile(uintptr(d.fd), c.network+":"+c.local.String()+"->"+c.remote.String()), d.unread, nil
}

// A detaching is what Detach waits for.
type detaching struct {
	fd     int
	unread []byte
	err    error
	done   chan struct{} // closed once the rest is valid
}

// handOver gives the descriptor to whoever called Detach, and reports whether
// somebody did. Loop goroutine.
func (c *Conn) handOver() bool {
	d := c.taker
	if d == nil {
		return false
	}
	r := &c.r
	r.mu.Lock()
	for p := r.q.head; p != nil; p = p.next {
		d.unread = append(d.unread, p.bytes...)
	}
	r.mu.Unlock()
	d.fd, d.err = c.l.Sockets().Detach(c.h)
	close(d.done)
	return d.err == nil
}
