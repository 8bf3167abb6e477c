package policies

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"mobius"
	"mobius/loop"
	"mobius/protocols"
	"mobius/transport"
)

// A proxiedState is where a connection from a proxy is in its life.
//
//	awaiting ──the header──────────────────────▶ passing
//	awaiting ──no header, deadline, its end────▶ over
//	passing  ──no protocol, closed, detached───▶ over
type proxiedState uint8

const (
	awaiting proxiedState = iota // of the header some bytes are missing, or all
	passing                      // what comes is the protocol's
	over                         // what comes is nobody's
)

// A proxied reads the header that a connection begins with, and is a wrapper
// between transport and protocol from then on.
//
// It has all abilities that a transport looks for when a connection begins,
// since the protocol that may have them is not there yet.
type proxied struct {
	f     *ProxyProtocol
	p     mobius.Protocol // nil until the header is there
	front proxyFront
	wait  protocols.Timeout
	flush loop.Flush

	head  []byte // of a header that comes in pieces
	rest  []byte // what came behind the header, until it is delivered
	state proxiedState

	paused bool // the protocol has paused us
	held   bool // the transport below is paused
	ended  bool // the protocol does not know what to do with the peer's end
}

// ConnectionMade begins to wait for the header.
func (c *proxied) ConnectionMade(t mobius.Transport) {
	c.front = proxyFront{Transport: t, c: c}
	c.flush.Owner = (*proxiedFlush)(c)
	d := c.f.Timeout
	if d == 0 {
		d = DefaultProxyTimeout
	}
	c.wait.TimedOut = func() {
		c.refuse(fmt.Errorf("no whole PROXY header within %v: %w", d, os.ErrDeadlineExceeded))
	}
	c.wait.Watch(t, max(d, 0))
}

// DataReceived reads the header, or passes on.
func (c *proxied) DataReceived(p []byte) {
	switch c.state {
	case awaiting:
		c.read(p)
	case passing:
		c.p.DataReceived(p)
	}
}

// read looks for the header in what has come. One that comes whole is read
// where it lies, and what comes behind it is delivered from there.
func (c *proxied) read(p []byte) {
	limit := orDefault(c.f.MaxHeader, DefaultMaxProxyHeader)
	for {
		have := p
		if c.head != nil {
			have = c.head
		}
		h, n, err := parseProxyHeader(have, limit)
		switch {
		case err != nil:
			c.refuse(err)
			return
		case n > len(have) && c.head != nil && len(p) == 0:
			return
		case n > len(have):
			p = c.keep(p, n)
		default:
			if c.head == nil {
				p = p[n:]
			}
			c.open(&h, p)
			return
		}
	}
}

// keep adds to an incomplete header what it is known to need, and returns what
// is left of p: nothing that is not the header's is kept.
func (c *proxied) keep(p []byte, need int) (rest []byte) {
	k := min(need-len(c.head), len(p))
	c.head = append(slices.Grow(c.head, max(need, v1Most)-len(c.head)), p[:k]...)
	return p[k:]
}

// open has a protocol built for who was announced.
func (c *proxied) open(h *proxyHeader, rest []byte) {
	c.wait.SetTimeout(0)
	c.state, c.head = passing, nil
	h.tlvs = slices.Clone(h.tlvs)
	c.front.header = *h
	c.p = c.f.Factory.BuildProtocol(c.front.RemoteAddr())
	if c.p == nil {
		c.state = over
		c.front.Transport.AbortConnection()
		return
	}
	if len(rest) > 0 {
		c.rest = rest
		defer func() { c.rest = slices.Clone(c.rest) }() // what is left of it was lent
	}
	c.p.ConnectionMade(&c.front)
	c.deliver()
}

// deliver delivers what came behind the header, unless the protocol has paused.
func (c *proxied) deliver() {
	if len(c.rest) > 0 && c.state == passing && !c.paused {
		p := c.rest
		c.rest = nil
		c.p.DataReceived(p)
	}
}

// refuse ends the connection for want of a header.
func (c *proxied) refuse(err error) {
	c.forget(err)
	// The first call is for the reason, which is kept; the second one does not
	// wait for a peer that does not do as it should.
	c.front.Transport.CloseWithError(err)
	c.front.Transport.AbortConnection()
}

func (c *proxied) forget(err error) {
	c.wait.SetTimeout(0)
	c.state, c.head = over, nil
	c.f.refuse(c.front.Transport.RemoteAddr(), err)
}

// ConnectionLost tells the protocol, or who wants to know of refusals.
func (c *proxied) ConnectionLost(err error) {
	if c.state == awaiting {
		c.forget(early(err))
	}
	c.state, c.rest = over, nil
	if c.p == nil {
		return
	}
	var e *mobius.ConnError
	if c.ended && errors.As(err, &e) && e.Kind == mobius.Done {
		err = &mobius.ConnError{Op: "read", Addr: e.Addr, Kind: mobius.Done, Err: io.EOF}
	}
	c.p.ConnectionLost(err)
}

// early returns why there is no header on a connection that has ended.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("ended before a whole PROXY header: %w", err)
}

// ReadConnectionLost tells the protocol. For one that is no HalfCloser the
// connection ends here, as it would without us.
func (c *proxied) ReadConnectionLost() {
	if c.state == awaiting {
		c.refuse(early(io.EOF))
		return
	}
	if h, ok := mobius.As[mobius.HalfCloser](c.p); ok {
		h.ReadConnectionLost()
		return
	}
	c.ended = true
	c.front.Transport.LoseConnection()
}

// WriteConnectionLost tells the protocol.
func (c *proxied) WriteConnectionLost() {
	if h, ok := mobius.As[mobius.HalfCloser](c.p); ok {
		h.WriteConnectionLost()
	}
}

// PauseWriting tells the protocol.
func (c *proxied) PauseWriting() {
	if d, ok := mobius.As[mobius.Drainer](c.p); ok {
		d.PauseWriting()
	}
}

// ResumeWriting tells the protocol.
func (c *proxied) ResumeWriting() {
	if d, ok := mobius.As[mobius.Drainer](c.p); ok {
		d.ResumeWriting()
	}
}

// LogPrefix returns the protocol's.
func (c *proxied) LogPrefix() string {
	if c.p == nil {
		return "PROXY header"
	}
	return transport.LogPrefix(c.p)
}

// Unwrap returns the protocol, for mobius.As.
func (c *proxied) Unwrap() any {
	if c.p == nil {
		return nil
	}
	return c.p
}

// proxiedFlush is a proxied as the loop sees it.
type proxiedFlush proxied

// Flush goes on after a ResumeReading: first with what came behind the header.
// A panic of the protocol is its connection's end, here too.
func (pf *proxiedFlush) Flush() {
	c := (*proxied)(pf)
	sound := false
	defer func() {
		if !sound {
			c.front.Transport.AbortConnection()
		}
	}()
	c.deliver()
	if c.held && !c.paused && c.state == passing {
		c.held = false
		c.front.Transport.ResumeReading()
	}
	sound = true
}

var (
	_ mobius.HalfCloser  = (*proxied)(nil)
	_ mobius.Drainer     = (*proxied)(nil)
	_ mobius.LogPrefixer = (*proxied)(nil)
)
