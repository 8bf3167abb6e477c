package datagram

import (
	"math/bits"

	"mobius/loop"
	"mobius/proactor"
)

// A store keeps what the ports of a loop need to send: packets, and the memory of
// large ones. Those that were used last are used first, while they are in the
// processor's cache.
type store struct {
	packets *packet
	n       int               // of them
	bytes   int               // of memory kept: of packets, and of buffers
	buffers [classes][][]byte // by size
}

// Packets of up to ownBytes have memory of their own; for larger ones there are
// buffers of 4 to 64 KiB. What is given back beyond the last two goes to the garbage
// collector.
const (
	ownBytes   = 2048
	firstClass = 12 // as a power of two
	classes    = 5
	maxPackets = 4096
	maxStored  = 4 << 20
)

type storeKey struct{}

func storeOf(l *loop.Loop) *store {
	return l.Local(storeKey{}, func() any { return &store{} }).(*store)
}

// packet returns one for n bytes: its op's Buf is empty, with room for them.
func (s *store) packet(p *Port, n int) *packet {
	k := s.packets
	if k == nil {
		k = &packet{}
		k.op = proactor.Op{Kind: proactor.OpSendTo, Owner: k}
	} else {
		s.packets, k.next = k.next, nil
		s.n--
		s.bytes -= cap(k.own)
	}
	k.prev, k.port, k.op.Handle = nil, p, p.recv.Handle
	if n > ownBytes {
		k.op.Buf = s.buffer(n)
	} else {
		if cap(k.own) < n {
			k.own = make([]byte, 0, max(64, 1<<bits.Len(uint(n-1))))
		}
		k.op.Buf = k.own
	}
	return k
}

// put takes back a packet that has ended.
func (s *store) put(k *packet) {
	if cap(k.op.Buf) > ownBytes {
		s.keep(k.op.Buf[:0])
	}
	k.op.Buf, k.op.Addr, k.op.Msg, k.port = nil, nil, nil, nil
	if s.n < maxPackets && s.bytes+cap(k.own) <= maxStored {
		s.n++
		s.bytes += cap(k.own)
		k.next, s.packets = s.packets, k
	}
}

// classOf returns the class of buffers with room for n bytes.
func classOf(n int) int { return max(bits.Len(uint(n-1)), firstClass) - firstClass }

// buffer returns one with room for n bytes.
func (s *store) buffer(n int) []byte {
	c := classOf(n)
	if c >= classes {
		return make([]byte, 0, n)
	}
	free := s.buffers[c]
	if len(free) == 0 {
		return make([]byte, 0, 1<<(firstClass+c))
	}
	last := len(free) - 1
	p := free[last]
	free[last] = nil
	s.buffers[c] = free[:last]
	s.bytes -= cap(p)
	return p
}

func (s *store) keep(p []byte) {
	if c := classOf(cap(p)); c < classes && s.bytes+cap(p) <= maxStored {
		s.bytes += cap(p)
		s.buffers[c] = append(s.buffers[c], p)
	}
}
