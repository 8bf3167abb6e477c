package tls

import (
	"mobius/transport"
)

const (
	// Sealing adds to a record its header, an IV, a MAC and padding: with the
	// largest of all suites less than this. A record has at least so many
	// bytes of plaintext, except the last (crypto/tls, maxPayloadSizeForWrite).
	overhead   = 96
	leastPlain = 1024

	// reserve is room in the transport's queue that is left to alerts and to
	// answers to key updates, which crypto/tls writes unasked.
	reserve = 1024
)

// roomFor returns how many bytes of ciphertext n bytes may become, at most, and
// the reserve.
func roomFor(n int) int { return n + (n/leastPlain+2)*overhead + reserve }

// Write takes a copy of p, to be sealed with what else is written.
func (y *layer) Write(p []byte) (int, error) {
	y.check()
	if err := y.admit(len(p)); err != nil {
		return 0, err
	}
	if len(p) > 0 {
		y.push(p)
		y.written()
	}
	return len(p), nil
}

// Writev is a Write of all bufs.
func (y *layer) Writev(bufs [][]byte) (int, error) {
	y.check()
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	if err := y.admit(n); err != nil {
		return 0, err
	}
	for _, b := range bufs {
		y.push(b)
	}
	if n > 0 {
		y.written()
	}
	return n, nil
}

// WriteOwned is a Write: sealing copies, so the memory is given back at once.
func (y *layer) WriteOwned(buf []byte, release func()) error {
	_, err := y.Write(buf)
	if release != nil {
		defer y.returned()
		release()
	}
	return err
}

// Queued returns how many bytes wait to be taken by the kernel.
func (y *layer) Queued() int { return len(y.pending) + y.queue.Queued() }

// Room returns how many bytes a Write takes now.
func (y *layer) Room() int {
	if !y.mayWrite() {
		return 0
	}
	left := y.queue.Room() - reserve - 2*overhead
	return max(left*leastPlain/(leastPlain+overhead)-len(y.pending), 0)
}

func (y *layer) mayWrite() bool { return y.state.in(writable) && !y.flags.has(noWrites) }

// admit returns why n bytes cannot be written, nil if they can.
func (y *layer) admit(n int) error {
	if !y.mayWrite() {
		return transport.ErrNotWritable
	}
	if n > y.Room() {
		if _, err := y.below.Write(nil); err != nil {
			return err // it is the transport below that is closed
		}
		return transport.ErrFull
	}
	return nil
}

// push adds b to what is pending, and seals full records.
func (y *layer) push(b []byte) {
	now := y.state.in(seals) && !y.flags.has(busy)
	if now && len(y.pending) == 0 && len(b) >= maxPlain {
		n := len(b) - len(b)%maxPlain
		if err := y.seal(b[:n]); err != nil {
			y.broken("write", err)
			return
		}
		b = b[n:]
	}
	if len(b) == 0 {
		return
	}
	if y.pending == nil {
		y.pending = y.pool.get()
	}
	y.pending = append(y.pending, b...)
	if now && len(y.pending) >= maxPlain {
		y.sealPending(false)
	}
}

// written has what is pending sealed in time, and tells the protocol once if
// too much is queued.
func (y *layer) written() {
	if y.state.in(seals) && len(y.pending) > 0 && !y.flags.has(inside) {
		y.l.AtTurnEnd(&y.flush)
		if s, ok := y.below.(transport.FlushSooner); ok {
			s.FlushSoon()
		}
	}
	y.pauseUpper()
}

// sealPending seals what is pending, as far as the transport below has room:
// all of it, or full records only.
func (y *layer) sealPending(all bool) {
	p := y.pending
	var err error
	for err == nil && (len(p) >= maxPlain || all && len(p) > 0) {
		n := min(len(p), maxPlain)
		if y.queue.Room() < roomFor(n) {
			break
		}
		if err = y.seal(p[:n]); err == nil {
			p = p[n:]
		}
	}
	if y.pending != nil {
		y.pending = y.pending[:copy(y.pending, p)]
		if len(y.pending) == 0 {
			y.pool.put(y.pending)
			y.pending = nil
		}
	}
	if err != nil {
		y.broken("write", err)
	}
}

// seal makes records of p and gives them to the transport below, which has
// room for them. The protocol is not called in it.
func (y *layer) seal(p []byte) error {
	y.flags |= busy
	_, err := y.tc.Write(p)
	y.flags &^= busy
	y.sealed += uint64(len(p))
	return err
}

// pauseUpper tells the protocol, once, that too much is queued.
func (y *layer) pauseUpper() {
	if y.flags.has(full|busy) || !y.flags.has(belowFull) && y.Queued() <= y.marks.HighWater {
		return
	}
	y.flags |= full
	if y.flags.has(drainer) && y.mayWrite() {
		y.tell(pauseWriting)
	}
}

// resumeUpper tells it that the queue is short again, or sees to it that it
// will be told.
func (y *layer) resumeUpper() {
	if !y.flags.has(full) || y.flags.has(belowFull|busy) {
		return
	}
	if y.Queued() > y.marks.LowWater {
		y.awaitDrain()
		return
	}
	y.flags &^= full
	if y.flags.has(drainer) && y.mayWrite() {
		y.tell(resumeWriting)
	}
}

// awaitDrain has the transport below tell when its queue is short: of itself it
// does so only if the queue was long. Without it a protocol would wait for ever
// that was paused since much was pending, of which some was sent before the
// rest was sealed.
func (y *layer) awaitDrain() {
	if d, ok := y.below.(transport.DrainTeller); ok && d.TellDrained() {
		y.flags |= belowFull
	}
}

// TellDrained has the layer above told once the queue is short.
func (y *layer) TellDrained() bool {
	if y.Queued() <= y.marks.LowWater {
		return false
	}
	y.flags |= full
	if !y.flags.has(belowFull) {
		y.awaitDrain()
	}
	return true
}
