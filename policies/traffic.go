package policies

import (
	"sync/atomic"

	"mobius"
)

// A Direction is where bytes go.
type Direction uint8

// The directions, seen from the protocol.
const (
	In Direction = iota
	Out
)

// String returns "in" or "out".
func (d Direction) String() string { return [...]string{"in", "out"}[d&1] }

// A TrafficLog is a factory that numbers its connections and has what goes over
// them recorded. (Twisted: TrafficLoggingFactory.) It may be used on several
// loops; its fields must not be changed once it is.
type TrafficLog struct {
	Factory mobius.Factory

	// Record is told of each piece that was received or written: the number of
	// its connection, counted from 1, and the bytes, which are lent until it
	// returns. Loop goroutine of the connection. nil: the pieces are only counted.
	Record func(conn uint64, d Direction, p []byte)

	conns atomic.Uint64
	bytes [2]atomic.Uint64
}

// Conns returns how many connections were numbered. Any goroutine.
func (f *TrafficLog) Conns() uint64 { return f.conns.Load() }

// Bytes returns how many bytes went in a direction. Any goroutine.
func (f *TrafficLog) Bytes(d Direction) uint64 { return f.bytes[d&1].Load() }

// ResetCounter has the next connection be number 1 again, and the bytes counted
// from 0. Any goroutine.
func (f *TrafficLog) ResetCounter() {
	f.conns.Store(0)
	f.bytes[In].Store(0)
	f.bytes[Out].Store(0)
}

// BuildProtocol builds a protocol whose traffic is recorded.
func (f *TrafficLog) BuildProtocol(peer mobius.Address) mobius.Protocol {
	p := f.Factory.BuildProtocol(peer)
	if p == nil {
		return nil
	}
	n := f.conns.Add(1)
	return &Wrapper{
		Protocol: p,
		Received: func(p []byte) { f.record(n, In, p) },
		Written:  func(p []byte) { f.record(n, Out, p) },
	}
}

// Unwrap returns the wrapped factory, for mobius.As.
func (f *TrafficLog) Unwrap() any { return f.Factory }

func (f *TrafficLog) record(conn uint64, d Direction, p []byte) {
	f.bytes[d].Add(uint64(len(p)))
	if f.Record != nil {
		f.Record(conn, d, p)
	}
}
