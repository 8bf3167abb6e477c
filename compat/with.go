package compat

import (
	"log/slog"
	"time"

	"mobius/proactor"
)

// An Option sets some of an engine's [Options].
type Option func(*Options)

// WithOptions sets all of them.
func WithOptions(options Options) Option { return func(o *Options) { *o = options } }

// WithMulticore makes as many loops as GOMAXPROCS says. The default is one, on
// which no two methods of the handler run at once.
func WithMulticore(multicore bool) Option { return func(o *Options) { o.Multicore = multicore } }

// WithNumEventLoop makes so many loops, whatever [WithMulticore] says.
func WithNumEventLoop(n int) Option { return func(o *Options) { o.NumEventLoop = n } }

// WithLockOSThread wants each loop locked to a thread of its own, as it is on
// every backend but netpoll, with which it is an error of Run.
func WithLockOSThread(lock bool) Option { return func(o *Options) { o.LockOSThread = lock } }

// WithReadBufferCap cuts what one OnTraffic gets to so many bytes, rounded up to
// a power of two. Default: as much as the backend has received at once.
func WithReadBufferCap(n int) Option { return func(o *Options) { o.ReadBufferCap = n } }

// WithWriteBufferCap says from how many bytes of output on, rounded up to a
// power of two, a [Pacer] is told; default 64 KiB.
func WithWriteBufferCap(n int) Option { return func(o *Options) { o.WriteBufferCap = n } }

// WithLoadBalancing chooses the loop of a new connection. [RoundRobin] is all
// there is; others are an error of Run.
func WithLoadBalancing(lb LoadBalancing) Option { return func(o *Options) { o.LB = lb } }

// WithReusePort gives each loop a listener of its own, among which the kernel
// spreads connections, and the senders of datagrams (SO_REUSEPORT, socket(7)).
// Without it a UDP socket is on the first loop.
func WithReusePort(reuse bool) Option { return func(o *Options) { o.ReusePort = reuse } }

// WithReuseAddr sets SO_REUSEADDR on listeners, which have it always.
func WithReuseAddr(reuse bool) Option { return func(o *Options) { o.ReuseAddr = reuse } }

// WithTCPKeepAlive sets the time before the first probe of a silent peer
// (TCP_KEEPIDLE, tcp(7)); probes then come every fifth of that, and five of them,
// unless the next two say otherwise. Default: every 15 s, as package net has it.
func WithTCPKeepAlive(d time.Duration) Option { return func(o *Options) { o.TCPKeepAlive = d } }

// WithTCPKeepInterval sets the time between probes (TCP_KEEPINTVL).
func WithTCPKeepInterval(d time.Duration) Option { return func(o *Options) { o.TCPKeepInterval = d } }

// WithTCPKeepCount sets after how many probes the connection is lost
// (TCP_KEEPCNT).
func WithTCPKeepCount(n int) Option { return func(o *Options) { o.TCPKeepCount = n } }

// WithTCPNoDelay sets TCP_NODELAY; see [TCPNoDelay], the default, and
// [TCPDelay].
func WithTCPNoDelay(opt TCPSocketOpt) Option { return func(o *Options) { o.TCPNoDelay = opt } }

// WithSocketRecvBuffer sets SO_RCVBUF (socket(7)), in bytes.
func WithSocketRecvBuffer(n int) Option { return func(o *Options) { o.SocketRecvBuffer = n } }

// WithSocketSendBuffer sets SO_SNDBUF (socket(7)), in bytes.
func WithSocketSendBuffer(n int) Option { return func(o *Options) { o.SocketSendBuffer = n } }

// WithTicker has OnTick called.
func WithTicker(ticker bool) Option { return func(o *Options) { o.Ticker = ticker } }

// WithLogPath appends what is logged to a file, as package log/slog's text.
// A Logger of [WithLogger] is told instead.
func WithLogPath(path string) Option { return func(o *Options) { o.LogPath = path } }

// WithLogLevel leaves out what is below a level; default slog.LevelInfo.
func WithLogLevel(level slog.Level) Option { return func(o *Options) { o.LogLevel = level } }

// WithLogger has everything logged by logger. Default: slog.Default().
func WithLogger(logger Logger) Option { return func(o *Options) { o.Logger = logger } }

// WithMulticastInterfaceIndex chooses the interface on which a multicast group,
// as the host of a UDP address, is joined.
func WithMulticastInterfaceIndex(index int) Option {
	return func(o *Options) { o.MulticastInterfaceIndex = index }
}

// WithBindToDevice is refused: a name is an error of Run. Listen at an address of
// the interface.
func WithBindToDevice(name string) Option { return func(o *Options) { o.BindToDevice = name } }

// WithEdgeTriggeredIO changes nothing: it is about how readiness is told, and
// operations here complete. What it is for, fewer system calls, is so always.
func WithEdgeTriggeredIO(et bool) Option { return func(o *Options) { o.EdgeTriggeredIO = et } }

// WithEdgeTriggeredIOChunk cuts what one OnTraffic gets, as [WithReadBufferCap]
// does; the smaller one counts.
func WithEdgeTriggeredIOChunk(n int) Option { return func(o *Options) { o.EdgeTriggeredIOChunk = n } }

// WithBackend chooses the backend by name; see mobius.Options.Backend. Not
// gnet's.
func WithBackend(name string) Option { return func(o *Options) { o.Backend = name } }

// WithOpen makes each loop's backend; see mobius.Options.Open. Not gnet's.
func WithOpen(open func(loop int) (proactor.Backend, error)) Option {
	return func(o *Options) { o.Open = open }
}

// WithReadLimit ends a connection with [ErrInboundFull] when OnTraffic leaves
// more than so many bytes unread; default [DefaultReadLimit]. Not gnet's.
func WithReadLimit(n int) Option { return func(o *Options) { o.ReadLimit = n } }

// WithWriteLimit bounds how many bytes may wait to be sent on a connection: a
// write beyond is transport.ErrFull. Default 64 MiB. Not gnet's.
func WithWriteLimit(n int) Option { return func(o *Options) { o.WriteLimit = n } }

// WithCloseTimeout bounds how long a close waits for a peer that takes nothing,
// and then for one that does not end its side; default 30 s. Not gnet's.
func WithCloseTimeout(d time.Duration) Option { return func(o *Options) { o.CloseTimeout = d } }

// WithHalfClosedTimeout ends a connection of which one direction has ended when
// nothing has moved in the other for so long; default 30 s. Not gnet's.
func WithHalfClosedTimeout(d time.Duration) Option {
	return func(o *Options) { o.HalfClosedTimeout = d }
}
