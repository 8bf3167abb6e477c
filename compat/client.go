package compat

import (
	"context"
	"net"
	"sync"

	"mobius"
	"mobius/connector"
	"mobius/proactor"
	"mobius/transport/datagram"
)

// A Client is an engine that connects. Its methods are for any goroutine; Dial
// and Enroll wait, so they return [ErrOnLoop] on a loop's goroutine: there is
// [EventLoop].Register.
type Client struct {
	eng     *engine
	mu      sync.Mutex
	started bool
	failed  error // by which Run has ended; after done is closed
}

// NewClient returns a client whose connections are h's.
func NewClient(h EventHandler, opts ...Option) (*Client, error) {
	e, err := newEngine(h, opts)
	if err != nil {
		return nil, err
	}
	return &Client{eng: e}, nil
}

// Start calls OnBoot and runs the client's loops on goroutines of their own.
func (c *Client) Start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started {
		return mobius.ErrRunning
	}
	c.started = true
	if c.eng.handler.OnBoot(Engine{c.eng}) == Shutdown {
		c.eng.shutdown()
	}
	go func() {
		defer close(c.eng.done)
		c.failed = c.eng.run(context.Background())
		c.eng.handler.OnShutdown(Engine{c.eng})
	}()
	return nil
}

// Stop closes all connections, once what was written to them is sent, and waits
// for the end of the loops. A client that was not started is freed.
func (c *Client) Stop() error {
	c.mu.Lock()
	started := c.started
	c.started = true
	c.mu.Unlock()
	if !started {
		defer close(c.eng.done)
		return c.eng.r.Close()
	}
	if err := c.eng.stop(context.Background()); err != nil {
		return err
	}
	return c.failed
}

// Dial connects to address, which may have a host name, and returns when OnOpen
// was called. network is tcp, tcp4, tcp6, unix, udp, udp4 or udp6.
func (c *Client) Dial(network, address string) (Conn, error) {
	return c.DialContext(network, address, nil)
}

// DialContext is Dial; ctx becomes the connection's Context before OnOpen.
func (c *Client) DialContext(network, address string, ctx any) (Conn, error) {
	if c.eng.r.OnLoop() {
		return nil, ErrOnLoop
	}
	d := c.eng.newDialing(ctx)
	if err := d.dial(c.eng.next().l, network, address); err != nil {
		return nil, err
	}
	return c.wait(d)
}

// Enroll makes a connection of the client's of nc, as [EventLoop].Enroll does,
// and returns when OnOpen was called.
func (c *Client) Enroll(nc net.Conn) (Conn, error) { return c.EnrollContext(nc, nil) }

// EnrollContext is Enroll; ctx becomes the connection's Context before OnOpen.
func (c *Client) EnrollContext(nc net.Conn, ctx any) (Conn, error) {
	if c.eng.r.OnLoop() {
		return nil, ErrOnLoop
	}
	d := c.eng.newDialing(ctx)
	if err := c.eng.next().l.Insist(func() { d.enroll(nc) }); err != nil {
		return nil, err
	}
	return c.wait(d)
}

func (c *Client) wait(d *dialing) (Conn, error) {
	select {
	case r := <-d.result:
		return r.Conn, r.Err
	case <-c.eng.done:
		select {
		case r := <-d.result: // the last that happened
			return r.Conn, r.Err
		default:
			return nil, ErrEngineInShutdown
		}
	}
}

// A dialing is a connection that somebody waits for: the factory of its
// connector.
type dialing struct {
	mobius.ClientBase
	e      *engine
	ctx    any
	result chan RegisteredResult
}

func (e *engine) newDialing(ctx any) *dialing {
	return &dialing{e: e, ctx: ctx, result: make(chan RegisteredResult, 1)}
}

// done gives the one result.
func (d *dialing) done(c Conn, err error) { d.result <- RegisteredResult{c, err} }

// BuildProtocol is the connector's.
func (d *dialing) BuildProtocol(mobius.Address) mobius.Protocol {
	return &conn{e: d.e, ctx: d.ctx, dialed: d}
}

// ConnectionFailed is the connector's.
func (d *dialing) ConnectionFailed(_ *mobius.Connector, err error) { d.done(nil, err) }

// dial begins. Any goroutine.
func (d *dialing) dial(l *mobius.Loop, network, address string) error {
	var to mobius.Destination
	var err error
	switch network {
	case "tcp", "unix":
		to, err = mobius.ParseDestination(network, address)
	case "tcp4", "tcp6", "udp", "udp4", "udp6":
		var addr mobius.Address
		if addr, err = resolve(network, address); err == nil && addr.Kind() == proactor.UDP {
			return l.Insist(func() { d.connect(l, addr) })
		}
		to = mobius.To(addr)
	default:
		err = ErrUnsupportedProtocol
	}
	if err != nil {
		return err
	}
	o := mobius.ConnectOptions{Resolver: d.e.r.Resolver(), Socket: d.e.o.socket(network), Transport: d.e.o.transport()}
	return l.Insist(func() { connector.Connect(l, to, d, o) })
}

// connect makes a UDP socket with one peer.
func (d *dialing) connect(l *mobius.Loop, to mobius.Address) {
	here := "0.0.0.0:0"
	if to.IP().Is6() {
		here = "[::]:0"
	}
	local, err := mobius.ParseAddress("udp", here)
	if err != nil {
		d.done(nil, err)
		return
	}
	s := newPackets(d.e.loopOf(l))
	socket := d.e.o.socket("udp")
	socket.ReusePort = false
	if _, err = datagram.Listen(l, local, s, &datagram.Options{Socket: socket}); err != nil {
		d.done(nil, err)
		return
	}
	s.port.Connect(to).Then(func(_ struct{}, err error) {
		if err != nil {
			s.port.StopListening()
			d.done(nil, err)
			return
		}
		d.made(s, s.port.RemoteAddr())
	})
}

// made ends the dialing of a UDP socket.
func (d *dialing) made(s *packets, peer mobius.Address) {
	s.only = &packet{s: s, to: peer, ctx: d.ctx, inbound: inbound{el: s.el}}
	s.el.e.conns.Add(1)
	s.el.sockets = append(s.el.sockets, s)
	d.done(s.only, nil)
}

// enroll makes a connection of what is there. Loop goroutine.
func (d *dialing) enroll(nc net.Conn) {
	if nc == nil {
		d.done(nil, ErrInvalidNetConn)
		return
	}
	if _, ok := nc.(net.PacketConn); ok {
		d.enrollPackets(nc)
		return
	}
	if _, err := d.e.r.AdoptStreamConnection(nc, d, d.e.o.transport()); err != nil {
		d.done(nil, err)
		return
	}
	_ = nc.Close() // the engine has a duplicate
}

func (d *dialing) enrollPackets(nc net.Conn) {
	peer := proactor.FromNetAddr(nc.RemoteAddr())
	if peer.Kind() != proactor.UDP {
		d.done(nil, ErrUnsupportedProtocol)
		return
	}
	var s *packets
	for _, el := range d.e.loops {
		if el.l.Inside() {
			s = newPackets(el)
		}
	}
	if _, err := d.e.r.AdoptDatagramPort(nc, s, mobius.DatagramOptions{}); err != nil {
		d.done(nil, err)
		return
	}
	_ = nc.Close()
	d.made(s, peer)
}

var _ mobius.ClientFactory = (*dialing)(nil)
