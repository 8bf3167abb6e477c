package netconn

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"mobius"
	"mobius/loop"
	"mobius/proactor"
)

// A Dialer connects, on a reactor. Its fields mean what those of a net.Dialer
// do. It must not be changed while it is in use.
type Dialer struct {
	Reactor *mobius.Reactor // runs, or will; needed
	Options Options         // limits of the connections

	Timeout       time.Duration // of one dial, the look-up included; 0: none
	Deadline      time.Time     // of all dials; the zero time: none
	LocalAddr     net.Addr      // bind to this; nil: the kernel's choice
	FallbackDelay time.Duration // how long to wait for IPv6 before IPv4 is tried, too (RFC 6555); 0: 300 ms, negative: one after the other

	// KeepAlive is the time between probes, negative for none, unless
	// KeepAliveConfig is enabled; 0: 15 s.
	KeepAlive       time.Duration
	KeepAliveConfig net.KeepAliveConfig

	// Resolver looks names up; nil: net.DefaultResolver.
	Resolver *net.Resolver

	// Control, or ControlContext if that is set, is called on a socket that is
	// made, before it is bound and connected, on a loop's goroutine: it must not
	// block. network is "tcp4" and the like.
	Control        func(network, address string, c syscall.RawConn) error
	ControlContext func(ctx context.Context, network, address string, c syscall.RawConn) error
}

// Dial connects to an address, of the network "tcp", "tcp4", "tcp6" or "unix",
// or of one of [ListenPacket]'s.
func Dial(r *mobius.Reactor, network, address string) (net.Conn, error) {
	return (&Dialer{Reactor: r}).Dial(network, address)
}

// Dial is DialContext with context.Background.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext connects as net.Dialer's does: a name's addresses are tried in
// turn, those of the two IP families side by side. The connection is a *TCPConn,
// a *UnixConn, a *UDPConn or a *UnixgramConn. ctx bounds the dial only. The error
// is a *net.OpError.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	fail := func(addr net.Addr, err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Source: d.LocalAddr, Addr: addr, Err: err}
	}
	if end := d.end(); !end.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	p, all, err := resolve(ctx, d.Resolver, network, address, false)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	local, all, err := d.matching(p, all, address)
	if err != nil {
		return fail(nil, err)
	}
	one := func(ctx context.Context, to target) (net.Conn, error) { return d.dialOne(ctx, p, network, local, to) }
	if p.kind != proactor.TCP || d.FallbackDelay < 0 {
		return d.serial(ctx, all, one)
	}
	first, second := families(all)
	return d.race(ctx, first, second, one)
}

// end returns when a dial must be over; the zero time for never.
func (d *Dialer) end() time.Time {
	end := d.Deadline
	if d.Timeout > 0 {
		if t := time.Now().Add(d.Timeout); end.IsZero() || t.Before(end) {
			end = t
		}
	}
	return end
}

// matching returns LocalAddr, and those addresses that may be reached from it.
func (d *Dialer) matching(p parsed, all []target, address string) (local proactor.Address, out []target, err error) {
	if d.LocalAddr == nil {
		return local, all, nil
	}
	local = proactor.FromNetAddr(d.LocalAddr)
	if local.Kind() != p.kind {
		return local, nil, &net.AddrError{Err: "mismatched local address type", Addr: d.LocalAddr.String()}
	}
	for _, t := range all {
		if p.isUnix() || !local.IP().IsValid() || local.IP().Is4() == t.addr.IP().Is4() {
			out = append(out, t)
		}
	}
	if len(out) == 0 {
		return local, nil, &net.AddrError{Err: "no suitable address found", Addr: address}
	}
	return local, out, nil
}

// keepAlive sets what the two fields of a Dialer or a ListenConfig say.
func keepAlive(o *proactor.SocketOptions, simple time.Duration, c net.KeepAliveConfig) {
	switch {
	case c.Enable:
		o.KeepAlive, o.KeepAliveInterval, o.KeepAliveCount = max(c.Idle, 0), c.Interval, max(c.Count, 0)
	case simple < 0:
		o.KeepAlive = -1
	default:
		o.KeepAlive = simple
	}
	if o.KeepAliveInterval <= 0 {
		o.KeepAliveInterval = defaultInterval
	}
}

// defaultInterval is package net's time between probes.
const defaultInterval = 15 * time.Second

// dialOne tries one address.
func (d *Dialer) dialOne(ctx context.Context, p parsed, network string, local proactor.Address, to target) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Source: d.LocalAddr, Addr: to.net, Err: inCall("dial", err)}
	}
	if err := ctx.Err(); err != nil {
		return fail(ofContext(err))
	}
	a := &attempt{to: to, o: d.Options.resolved(), done: make(chan struct{})}
	a.options.Local = local
	keepAlive(&a.options, d.KeepAlive, d.KeepAliveConfig)
	a.options.Control = d.control(ctx, p, to)
	a.l = d.Reactor.NextLoop()
	if err := d.Reactor.On(a.l, a.begin); err != nil {
		return fail(err)
	}
	select {
	case <-a.done:
	case <-ctx.Done():
		go a.reap()
		return fail(ofContext(ctx.Err()))
	case <-a.l.Done():
		<-a.done
	}
	if a.err != nil {
		return fail(a.err)
	}
	return a.conn, nil
}

// control returns what is to be called with the socket's number, nil if
// nothing is.
func (d *Dialer) control(ctx context.Context, p parsed, to target) proactor.Controller {
	f := d.ControlContext
	if f == nil && d.Control != nil {
		f = func(_ context.Context, network, address string, c syscall.RawConn) error {
			return d.Control(network, address, c)
		}
	}
	if f == nil {
		return nil
	}
	return &control{func(fd int) error {
		return f(ctx, p.exact(to.addr), to.net.String(), bare(fd))
	}}
}

// exact returns the network's name with the family of an address.
func (p parsed) exact(a proactor.Address) string {
	switch {
	case p.isUnix():
		return p.kind.String()
	case a.IP().Is4():
		return p.kind.String() + "4"
	}
	return p.kind.String() + "6"
}

// An attempt is one connect(2).
type attempt struct {
	op      proactor.Op
	l       *loop.Loop
	to      target
	options proactor.SocketOptions
	o       *Options
	member  loop.Member

	done chan struct{} // closed once the rest is valid
	conn net.Conn
	err  error
}

// begin begins to connect. Loop goroutine.
func (a *attempt) begin() {
	if a.l.Ending() {
		a.over(nil, loop.ErrStopped)
		return
	}
	h, err := a.socket()
	if err != nil {
		a.over(nil, err)
		return
	}
	a.op = proactor.Op{Kind: proactor.OpConnect, Handle: h, Owner: a, Addr: &a.to.addr}
	a.member.Owner = a
	a.l.Join(&a.member)
	a.l.Submit(&a.op)
}

// socket makes the attempt's socket.
func (a *attempt) socket() (proactor.Handle, error) {
	to := a.to.addr
	if !isPacket(to) {
		return a.l.Sockets().Stream(to, &a.options)
	}
	local := a.options.Local
	a.options.Local = proactor.Address{}
	switch {
	case local.IsValid():
	case to.IsUnix():
		local = proactor.UnixgramAddress("")
	case to.IP().Is4():
		local = proactor.IPAddress(proactor.UDP, netip.IPv4Unspecified(), 0)
	default:
		local = proactor.IPAddress(proactor.UDP, netip.IPv6Unspecified(), 0)
	}
	h, _, err := a.l.Sockets().Packet(local, &a.options)
	return h, err
}

func isPacket(a proactor.Address) bool {
	return a.Kind() == proactor.UDP || a.Kind() == proactor.Unixgram
}

// reap has an attempt end of which nobody wants the result.
func (a *attempt) reap() {
	_ = a.l.Insist(func() { a.l.Cancel(&a.op) }) // an error means that the loop's end ends it
	<-a.done
	if a.conn != nil {
		_ = a.conn.Close()
	}
}

// Complete takes the result.
func (a *attempt) Complete(op *proactor.Op) {
	a.l.Leave(&a.member)
	sockets := a.l.Sockets()
	err := op.Err
	var local, remote proactor.Address
	if err == nil {
		local, remote, err = sockets.Names(op.Handle)
	}
	if err == nil && !remote.IsValid() {
		remote = a.to.addr
	}
	if err != nil {
		_ = sockets.CloseFD(op.Handle)
		a.over(nil, err)
		return
	}
	if isPacket(a.to.addr) {
		a.over(newPacket(a.l, op.Handle, local.NetAddr(), remote.NetAddr(), a.o), nil)
		return
	}
	a.over(newStream(a.l, op.Handle, local.NetAddr(), remote.NetAddr(), a.o), nil)
}

func (a *attempt) over(conn net.Conn, err error) {
	if errors.Is(err, loop.ErrStopped) {
		err = errStopped
	}
	a.conn, a.err = conn, err
	close(a.done)
}

// Fail ends the attempt with the loop.
func (a *attempt) Fail(error) { a.l.Cancel(&a.op) }

// Abandon is the end of an attempt that will never complete.
func (a *attempt) Abandon(error) {
	a.l.Leave(&a.member)
	a.over(nil, errStopped)
}

// newStream makes a connection of what the network says. Loop goroutine.
func newStream(l *loop.Loop, h proactor.Handle, local, remote net.Addr, o *Options) net.Conn {
	if _, ok := remote.(*net.TCPAddr); ok {
		c := new(TCPConn)
		c.start(l, h, "tcp", local, remote, o)
		return c
	}
	c := new(UnixConn)
	c.start(l, h, "unix", local, remote, o)
	return c
}

// newPacket makes a packet connection of a datagram socket. Loop goroutine.
func newPacket(l *loop.Loop, h proactor.Handle, local, remote net.Addr, o *Options) net.Conn {
	if _, ok := local.(*net.UDPAddr); ok {
		c := new(UDPConn)
		c.start(l, h, "udp", local, remote, o)
		return c
	}
	c := new(UnixgramConn)
	c.start(l, h, "unixgram", local, remote, o)
	return c
}
