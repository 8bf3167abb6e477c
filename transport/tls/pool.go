package tls

import "mobius/loop"

// Stats counts what the TLS connections of one loop have met.
type Stats struct {
	Handshakes uint64 // completed
	Resumed    uint64 // of these, by a session of an earlier connection
	Failed     uint64 // failed: by the config, the peer, the network, or the close that came first
	NotTLS     uint64 // of these, because the peer did not speak TLS
	TimedOut   uint64 // of these, by Options.HandshakeTimeout
	Refused    uint64 // never begun, because of Options.MaxHandshakes

	InProgress int // handshakes that have not ended
	Computing  int // of these, that compute now
}

// StatsOf returns the counters of l. Loop goroutine.
func StatsOf(l *loop.Loop) Stats { return poolOf(l).stats }

const (
	// bufSize holds every record (RFC 5246, section 6.2.3: 2^14 + 2048 bytes
	// and a header of 5) and every record's plaintext.
	bufSize = 20 << 10

	// maxPooled is how many buffers a loop keeps for later.
	maxPooled = 128
)

// A pool is what all TLS connections of one loop share.
type pool struct {
	stats      Stats
	head, tail *handshake // want to compute
	free       [][]byte
}

type poolKey struct{}

func poolOf(l *loop.Loop) *pool {
	return l.Local(poolKey{}, func() any { return new(pool) }).(*pool)
}

// get returns a buffer of no bytes and room for bufSize.
func (p *pool) get() []byte {
	last := len(p.free) - 1
	if last < 0 {
		return make([]byte, 0, bufSize)
	}
	b := p.free[last]
	p.free[last] = nil
	p.free = p.free[:last]
	return b
}

// put takes a buffer back. One that has grown is left to the garbage collector.
func (p *pool) put(b []byte) {
	if cap(b) == bufSize && len(p.free) < maxPooled {
		p.free = append(p.free, b[:0])
	}
}

// push has h wait for its turn to compute.
func (p *pool) push(h *handshake) {
	if p.tail == nil {
		p.head = h
	} else {
		p.tail.next = h
	}
	p.tail = h
}

// pop returns who has waited longest, nil if nobody waits.
func (p *pool) pop() *handshake {
	h := p.head
	if h == nil {
		return nil
	}
	p.head, h.next = h.next, nil
	if p.head == nil {
		p.tail = nil
	}
	return h
}
