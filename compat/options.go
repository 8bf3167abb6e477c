package compat

import (
	"fmt"
	"log/slog"
	"math/bits"
	"os"
	"runtime"
	"time"

	"mobius"
	"mobius/proactor"
	"mobius/transport"
)

// LoadBalancing says which loop a new connection goes to.
type LoadBalancing int

const (
	// RoundRobin gives connections to the loops in turn.
	RoundRobin LoadBalancing = iota

	// LeastConnections is refused.
	LeastConnections

	// SourceAddrHash is refused. With [WithReusePort] the kernel spreads
	// connections by a hash of both addresses.
	SourceAddrHash
)

// TCPSocketOpt is a choice of [WithTCPNoDelay].
type TCPSocketOpt int

const (
	// TCPNoDelay sends small writes at once.
	TCPNoDelay TCPSocketOpt = iota

	// TCPDelay lets them wait for others to join them (Nagle's algorithm, tcp(7)).
	TCPDelay
)

// A Logger takes what an engine logs, a formatted line at a time. Any goroutine.
type Logger interface {
	// Debugf, Infof, Warnf, Errorf and Fatalf differ in the level. The engine
	// never calls Fatalf.
	Debugf(format string, args ...any)
	Infof(format string, args ...any)
	Warnf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Options configure an engine. The zero value is the default of every field;
// each has a function With… of its name, which says what it does.
type Options struct {
	LB                      LoadBalancing
	ReuseAddr               bool
	ReusePort               bool
	MulticastInterfaceIndex int
	BindToDevice            string
	Multicore               bool
	NumEventLoop            int
	ReadBufferCap           int
	WriteBufferCap          int
	LockOSThread            bool
	Ticker                  bool
	TCPKeepAlive            time.Duration
	TCPKeepInterval         time.Duration
	TCPKeepCount            int
	TCPNoDelay              TCPSocketOpt
	SocketRecvBuffer        int
	SocketSendBuffer        int
	LogPath                 string
	LogLevel                slog.Level
	Logger                  Logger
	EdgeTriggeredIO         bool
	EdgeTriggeredIOChunk    int

	// These are not gnet's.
	Backend           string
	Open              func(loop int) (proactor.Backend, error)
	ReadLimit         int
	WriteLimit        int
	CloseTimeout      time.Duration
	HalfClosedTimeout time.Duration

	file *os.File // of LogPath
}

// DefaultReadLimit is that of [WithReadLimit].
const DefaultReadLimit = 64 << 20

// loadOptions returns what opts make, or what is wrong with it.
func loadOptions(opts []Option) (*Options, error) {
	o := &Options{}
	for _, f := range opts {
		f(o)
	}
	switch {
	case o.LB != RoundRobin:
		return nil, fmt.Errorf("%w: WithLoadBalancing(%d): connections go to the loops in turn (RoundRobin)", ErrUnsupportedOp, o.LB)
	case o.BindToDevice != "":
		return nil, fmt.Errorf("%w: WithBindToDevice(%q): listen at the interface's address", ErrUnsupportedOp, o.BindToDevice)
	case o.LockOSThread && o.Backend == "netpoll":
		return nil, fmt.Errorf("%w: WithLockOSThread on netpoll, whose loops are not locked", ErrUnsupportedOp)
	case o.NumEventLoop < 0:
		return nil, fmt.Errorf("compat: WithNumEventLoop(%d), want 1 or more, or 0 for the default", o.NumEventLoop)
	case o.ReadBufferCap < 0, o.WriteBufferCap < 0, o.EdgeTriggeredIOChunk < 0, o.ReadLimit < 0, o.WriteLimit < 0:
		return nil, fmt.Errorf(
			"compat: a negative size: ReadBufferCap %d, WriteBufferCap %d, EdgeTriggeredIOChunk %d, ReadLimit %d, WriteLimit %d",
			o.ReadBufferCap, o.WriteBufferCap, o.EdgeTriggeredIOChunk, o.ReadLimit, o.WriteLimit)
	case o.TCPKeepAlive < 0, o.TCPKeepInterval < 0, o.TCPKeepCount < 0:
		return nil, fmt.Errorf("compat: a negative keep-alive: %v, %v, %d", o.TCPKeepAlive, o.TCPKeepInterval, o.TCPKeepCount)
	case o.SocketRecvBuffer < 0, o.SocketSendBuffer < 0:
		return nil, fmt.Errorf("compat: a negative socket buffer: %d, %d", o.SocketRecvBuffer, o.SocketSendBuffer)
	case o.MulticastInterfaceIndex < 0:
		return nil, fmt.Errorf("compat: WithMulticastInterfaceIndex(%d), want an interface's index", o.MulticastInterfaceIndex)
	}
	if o.ReadLimit == 0 {
		o.ReadLimit = DefaultReadLimit
	}
	return o, nil
}

// loops returns how many loops there are.
func (o *Options) loops() int {
	switch {
	case o.NumEventLoop > 0:
		return o.NumEventLoop
	case o.Multicore:
		return runtime.GOMAXPROCS(0)
	}
	return 1
}

// piece returns the most bytes of one OnTraffic, 0 if there is no limit.
func (o *Options) piece() int {
	n := o.ReadBufferCap
	if n == 0 || o.EdgeTriggeredIOChunk > 0 && o.EdgeTriggeredIOChunk < n {
		n = o.EdgeTriggeredIOChunk
	}
	return power(n)
}

// power returns the power of two that n is rounded up to; 0 stays.
func power(n int) int {
	if n <= 0 {
		return 0
	}
	return 1 << bits.Len(uint(n-1))
}

// transport returns what the connections get.
func (o *Options) transport() *transport.Options {
	high := power(o.WriteBufferCap)
	return &transport.Options{
		HighWater: high, LowWater: high / 4, HardLimit: o.WriteLimit,
		CloseTimeout: o.CloseTimeout, HalfClosedTimeout: o.HalfClosedTimeout,
	}
}

// socket returns what the sockets of a network get.
func (o *Options) socket(network string) *mobius.SocketOptions {
	s := &mobius.SocketOptions{SendBuffer: o.SocketSendBuffer, RecvBuffer: o.SocketRecvBuffer}
	if network == "tcp6" || network == "udp6" {
		s.V6Only = proactor.On
	}
	if network == "unix" || network[:3] == "udp" {
		return s
	}
	if o.TCPNoDelay == TCPDelay {
		s.Delay = proactor.On
	}
	if o.TCPKeepAlive > 0 {
		s.KeepAlive, s.KeepAliveInterval, s.KeepAliveCount = o.TCPKeepAlive, o.TCPKeepInterval, o.TCPKeepCount
		if s.KeepAliveInterval == 0 {
			s.KeepAliveInterval = max(o.TCPKeepAlive/5, time.Second)
		}
		if s.KeepAliveCount == 0 {
			s.KeepAliveCount = 5
		}
	}
	return s
}
