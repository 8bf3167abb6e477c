package sim

import (
	"errors"
	"io"

	"mobius/proactor"
)

// relayBudget is the default of a Relay's Budget.
const relayBudget = 64 << 10

// A relayState is what a relay keeps between its steps, in Relay.B.
type relayState struct {
	head int    // bytes of Head that were sent
	read int64  // bytes read since Submit
	buf  []byte // bytes read and not sent
	end  error  // why nothing more will be read
}

func (b *Backend) startRelay(op *proactor.Op, s *socket) {
	r := op.Relay
	r.Side, r.Rest = proactor.NoSide, nil
	st, ok := r.B.(*relayState)
	if !ok {
		st = &relayState{}
		r.B = st
	}
	*st = relayState{buf: st.buf[:0]}
	dst := b.sock(r.Dst)
	if dst == nil {
		r.Side = proactor.Sink
		b.finish(op, 0, proactor.ErrClosed)
		return
	}
	s.takeReader(op)
	dst.takeWriter(op)
	b.slots[op.B.Slot].dst = dst
	dst.active++
	b.lookAt(op, b.net.soon())
}

// performRelay moves bytes, at most Budget of them, and then lets others have
// their turn.
func (b *Backend) performRelay(op *proactor.Op, s *socket) {
	dst, budget := b.slots[op.B.Slot].dst, op.Relay.Budget
	if budget <= 0 {
		budget = relayBudget
	}
	for budget > 0 {
		moved, err := b.relaySome(op, s, dst, budget)
		if err == errWindow {
			b.end(op, 0, nil)
			return
		}
		if err != nil {
			b.end(op, 0, err)
			return
		}
		if moved < 0 {
			return // something will come from either side
		}
		budget -= moved
		b.steps += uint64(moved)
	}
	b.lookAt(op, b.net.now+stepTime)
}

// relaySome sends what is at hand, or else reads. It returns how many bytes
// dst took, -1 if nothing can be done now. The error errWindow means that the
// relay has done its work.
func (b *Backend) relaySome(op *proactor.Op, s, dst *socket, budget int) (int, error) {
	r := op.Relay
	st := r.B.(*relayState)
	if st.head < len(r.Head) {
		size, err := b.relayOut(r, dst, r.Head[st.head:], budget)
		st.head += max(size, 0)
		return size, err
	}
	if len(st.buf) > 0 {
		size, err := b.relayOut(r, dst, st.buf, budget)
		if size > 0 {
			st.buf = st.buf[:copy(st.buf, st.buf[size:])]
		}
		return size, err
	}
	if r.Window > 0 && st.read >= r.Window {
		return 0, errWindow
	}
	if st.end != nil {
		return 0, st.end
	}
	size := s.rx.readable()
	if size == 0 {
		if st.end = s.readEnd(); st.end == nil {
			return -1, nil
		}
		if st.end != io.EOF {
			r.Side = proactor.Source
		}
		return 0, nil
	}
	size = min(size, relayBudget)
	if r.Window > 0 {
		size = int(min(int64(size), r.Window-st.read))
	}
	if b.net.chance(Cut) {
		size = b.net.upTo(size)
	}
	s.receiveMark(nil)
	st.buf = append(st.buf, make([]byte, size)...)
	s.takeIn(st.buf)
	st.read += int64(size)
	return 0, nil
}

// relayOut sends some of p to dst.
func (b *Backend) relayOut(r *proactor.Relay, dst *socket, p []byte, budget int) (int, error) {
	if err := dst.writeError(); err != nil {
		r.Side = proactor.Sink
		return 0, err
	}
	size := min(len(p), dst.peer.rx.room(), budget)
	if size <= 0 {
		dst.blocked = true
		return -1, nil
	}
	if b.net.chance(ShortSend) {
		size = b.net.upTo(size)
	}
	dst.put(p[:size])
	dst.dispatch(size)
	r.Moved.Add(int64(size))
	r.Last.Store(b.net.now)
	b.stats.RelayCopied += uint64(size)
	return size, nil
}

// errWindow is how relaySome says that the window is used up.
var errWindow = errors.New("the window is used up")

// takeRest returns what r has read and not sent; it is the owner's now.
func takeRest(r *proactor.Relay) []byte {
	st, ok := r.B.(*relayState)
	if !ok || len(st.buf) == 0 {
		return nil
	}
	rest := st.buf
	st.buf = nil
	return rest
}
