package sim

import "mobius/proactor"

// A pin is the memory of one zero-copy Send that has completed: the kernel may
// still read it, so it must not change.
type pin struct {
	p      *proactor.Pin
	sock   *socket
	buf    []byte
	bufs   [][]byte
	sum    uint64
	copied bool
	used   bool
}

// sumBytes returns a hash of a Send's memory.
func sumBytes(buf []byte, bufs [][]byte) uint64 {
	h := sum(hashStart, buf)
	for _, p := range bufs {
		h = sum(h, p)
	}
	return h
}

// keepPin notes the memory of op, a Send with a Pin that is about to complete.
func (b *Backend) keepPin(op *proactor.Op, s *socket, sum uint64) (number uint32) {
	number = uint32(len(b.pins))
	for i := range b.pins {
		if !b.pins[i].used {
			number = uint32(i)
			break
		}
	}
	if int(number) == len(b.pins) {
		b.pins = append(b.pins, pin{})
	}
	at := &b.pins[number]
	*at = pin{p: op.Pin, sock: s, buf: op.Buf, bufs: append(at.bufs[:0], op.Bufs...), sum: sum, copied: true, used: true}
	if s != nil {
		s.pins++
	}
	return number
}

// pinsOut returns how many pins are kept.
func (b *Backend) pinsOut() (n int) {
	for i := range b.pins {
		if b.pins[i].used {
			n++
		}
	}
	return n
}

// schedulePin draws when the memory is given back: at once, as by a backend
// that copies, or when the peer may have acknowledged the last byte.
func (b *Backend) schedulePin(number uint32) {
	n := b.net
	if b.closed || !n.chance(LatePin) {
		b.drop = append(b.drop, number)
		return
	}
	b.pins[number].copied = n.rng.IntN(2) == 0
	n.at(n.now+n.rng.Int64N(longDelay), event{kind: evPin, b: b, n: int(number)})
}

// unpin has pin number given back in b's next Poll.
func (b *Backend) unpin(number uint32) {
	if b.pins[number].used {
		b.drop = append(b.drop, number)
		b.waiting = false
		b.net.changed()
	}
}

// dropPins gives memory back.
func (b *Backend) dropPins() {
	for len(b.drop) > 0 {
		number := b.drop[0]
		b.drop = b.drop[:copy(b.drop, b.drop[1:])]
		b.dropPin(number)
	}
}

func (b *Backend) dropPin(number uint32) {
	at := &b.pins[number]
	if !at.used {
		return
	}
	if sumBytes(at.buf, at.bufs) != at.sum {
		panic("sim: the memory of a pinned Send has changed before Released")
	}
	p, copied := at.p, at.copied
	if at.sock != nil {
		at.sock.pins = max(0, at.sock.pins-1)
	}
	clear(at.bufs)
	*at = pin{bufs: at.bufs[:0]}
	if copied {
		b.stats.Copied++
	} else {
		b.stats.ZeroCopied++
	}
	b.steps++
	b.net.mu.Unlock()
	defer b.net.mu.Lock()
	p.Owner.Released(p, copied)
}

// dropAllPins gives everything back, when b is closed.
func (b *Backend) dropAllPins() {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	for i := range b.pins {
		b.dropPin(uint32(i))
	}
}
