package sim

import (
	"encoding/binary"
	"io"
	"syscall"

	"mobius/proactor"
)

// hashStart is the hash of nothing: FNV-1a's offset basis.
const hashStart = 0xcbf29ce484222325

// mix adds x to a running hash (the finalizer of MurmurHash3, so that every
// bit counts).
func mix(h, x uint64) uint64 {
	h ^= x
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>29
}

// trace adds two words to the hash of the run.
func (n *Net) trace(a, b uint64) { n.hash = mix(mix(n.hash, a), b) }

// traceResult adds a result, lent bytes included, to the hash of the run.
func (n *Net) traceResult(b *Backend, op *proactor.Op, got int, err error, more bool) {
	word := uint64(op.Kind) | uint64(b.index)<<8 | errorNumber(err)<<32
	if more {
		word |= 1 << 63
	}
	n.trace(word, uint64(op.Handle)^uint64(got)<<40)
	if n.o.Trace != nil {
		n.note("backend %d: %v on %v: %d bytes, %v, more %v", b.index, op.Kind, b.sock(op.Handle), got, err, more)
	}
	if op.Kind == proactor.OpRecv || op.Kind == proactor.OpRecvFrom {
		n.hash = sum(n.hash, op.Buf)
	}
}

// sum adds bytes to a hash.
func sum(h uint64, p []byte) uint64 {
	for len(p) >= 8 {
		h = mix(h, binary.LittleEndian.Uint64(p))
		p = p[8:]
	}
	for _, c := range p {
		h = mix(h, uint64(c))
	}
	return h
}

// errorNumber returns a number for err that is the same in every run.
func errorNumber(err error) uint64 {
	switch err {
	case nil:
		return 0
	case io.EOF:
		return 1 << 16
	case proactor.ErrCanceled:
		return 2 << 16
	case proactor.ErrClosed:
		return 3 << 16
	}
	if errno, ok := err.(syscall.Errno); ok {
		return uint64(errno)
	}
	return 4 << 16
}

// TraceHash returns a hash of everything that has happened on n: each event
// and each result with its time, its error and the bytes that it lent. Two
// runs of one seed that differ in it show that something other than the seed
// has decided: a map's order, a clock, another goroutine.
func (n *Net) TraceHash() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return mix(n.hash, uint64(n.now))
}
