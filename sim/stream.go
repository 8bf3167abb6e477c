package sim

import (
	"io"
	"slices"
	"syscall"

	"mobius/proactor"
)

// pushOut lets the Send of s go on: the kernel takes some of its bytes and
// puts them on their way.
func (s *socket) pushOut() {
	op := s.writer
	if op == nil || op.Kind != proactor.OpSend || op.B.Flags&(finished|taken) != 0 {
		return
	}
	n := s.net
	if err := s.writeError(); err != nil {
		s.host.finish(op, op.B.Done, err)
		return
	}
	left := op.Remaining()
	size := min(left, s.peer.rx.room())
	if size <= 0 && left > 0 {
		s.blocked = true
		return
	}
	if size > 1 && n.chance(ShortSend) {
		size = n.upTo(size)
	}
	if op.B.Done == 0 && op.Msg != nil && size > 0 {
		at := &s.host.slots[op.B.Slot]
		s.sendMark(op.Msg.Control, at.files)
		at.files = nil
	}
	s.copyOut(op, size)
	s.dispatch(size)
	op.B.Done += size
	if size < left {
		s.sendDue = true
		n.at(n.soon(), event{kind: evSend, sock: s})
		return
	}
	op.B.Flags |= taken
	s.host.finishLater(op, op.B.Done, nil, n.soon())
}

// writeError returns why s cannot be written to, nil if it can.
func (s *socket) writeError() error {
	switch {
	case s.err != nil:
		return s.fail()
	case s.noWrite, s.link == broken:
		return syscall.EPIPE
	case s.kind != aStream || s.link != linked:
		return syscall.ENOTCONN
	case s.local.IsUnix() && s.peer.closed:
		return syscall.EPIPE
	}
	return nil
}

// copyOut puts size bytes of op, from op.B.Done on, into the peer's queue.
func (s *socket) copyOut(op *proactor.Op, size int) {
	skip := op.B.Done
	if skip < len(op.Buf) {
		p := op.Buf[skip:min(len(op.Buf), skip+size)]
		s.put(p)
		size -= len(p)
		skip = 0
	} else {
		skip -= len(op.Buf)
	}
	s.putAll(op.Bufs, skip, size)
}

// putAll puts size bytes of bufs, less the first skip, into the peer's queue.
func (s *socket) putAll(bufs [][]byte, skip, size int) {
	for _, p := range bufs {
		if size == 0 {
			return
		}
		if skip >= len(p) {
			skip -= len(p)
			continue
		}
		p = p[skip:min(len(p), skip+size)]
		s.put(p)
		size -= len(p)
		skip = 0
	}
}

func (s *socket) put(p []byte) {
	if rx := &s.peer.rx; !rx.cutOff {
		if rx.buf == nil {
			rx.buf = s.net.spareBuffer()
		}
		rx.put(p)
	}
}

// dispatch puts the arrival of the last size bytes on the agenda. Segments of
// one stream arrive in order.
func (s *socket) dispatch(size int) {
	if size > 0 {
		s.net.at(s.travel(), event{kind: evArrive, sock: s.peer, n: size})
	}
}

// travel returns when what s sends now arrives, after all that it sent before.
func (s *socket) travel() int64 {
	n := s.net
	t := n.now + s.latency
	if n.chance(Jitter) {
		t += n.rng.Int64N(longDelay)
	}
	rx := &s.peer.rx
	if !rx.stalled && n.chance(Stall) {
		rx.stalled = true // once is enough
		t += n.rng.Int64N(longStall)
	}
	rx.last = max(rx.last, t)
	return rx.last
}

// arrive makes the next size bytes readable. Bytes for a socket that is closed
// are answered with a reset (RFC 9293, 3.10.7.1).
func (s *socket) arrive(size int) {
	switch {
	case s.rx.cutOff:
	case s.closed:
		s.sendReset()
	default:
		s.rx.arrived += size
		s.wakeReader()
	}
}

// sendEnd puts the end of the stream on its way.
func (s *socket) sendEnd() {
	if s.peer == nil || s.link == broken || s.peer.rx.end != goesOn {
		return
	}
	s.peer.rx.end = endSent
	s.net.at(s.travel(), event{kind: evFin, sock: s.peer})
}

func (s *socket) arriveEnd() {
	if !s.closed && !s.rx.cutOff {
		s.rx.end = endThere
		s.wakeReader()
	}
}

// sendReset puts a reset on its way to s's peer. It does not wait for the bytes
// that are on their way, so some of them may be lost, as on a real network.
func (s *socket) sendReset() {
	if p := s.peer; p != nil && !p.closed {
		t := s.net.now + s.latency
		if s.net.chance(Jitter) {
			t += s.net.rng.Int64N(longDelay)
		}
		s.net.at(t, event{kind: evReset, sock: p})
	}
}

// arriveReset ends the connection for s: bytes that have arrived may still be
// read, those on their way are lost, and the error is told once, to whoever
// asks first (Linux, tcp_reset and sock_error). A reset after the peer's end
// of stream is EPIPE.
func (s *socket) arriveReset() {
	if s.closed || s.link == broken {
		return
	}
	s.link = broken
	s.err = syscall.ECONNRESET
	if s.rx.end == endThere && !s.local.IsUnix() {
		s.err = syscall.EPIPE
	}
	s.rx.cutOff = true
	s.rx.buf = s.rx.buf[:min(len(s.rx.buf), s.rx.off+s.rx.arrived)]
	s.dropMarks(s.rx.read + uint64(s.rx.arrived))
	s.wakeReader()
	s.wakeWriter()
}

// breakDown resets a connection from the middle: both ends learn of it, one
// after the other.
func (s *socket) breakDown() {
	if s.closed || s.peer.closed || s.link == broken {
		return
	}
	s.sendReset()
	s.arriveReset()
}

// performRecv lends the next piece to op, or ends it.
func (b *Backend) performRecv(op *proactor.Op, s *socket) {
	size := s.rx.readable()
	if size == 0 {
		if err := s.readEnd(); err != nil {
			b.end(op, 0, err)
		}
		return
	}
	size = min(size, b.net.o.BufferSize)
	if op.Limit > 0 {
		size = min(size, op.Limit-op.B.Done)
	}
	if size > 1 && b.net.chance(Cut) {
		size = b.net.upTo(size)
	}
	if !b.borrow(op) {
		return
	}
	s.receiveMark(op.Msg)
	op.Buf = b.lend(size)
	s.takeIn(op.Buf)
	op.B.Done += size
	last := op.Limit > 0 && op.B.Done >= op.Limit
	b.completeLent(op, s, size, last)
}

// readEnd returns why nothing will ever be read from s again, nil if something
// may be.
func (s *socket) readEnd() error {
	switch {
	case s.rx.end == endThere && !s.local.IsUnix():
		return io.EOF // whatever came afterwards (Linux, tcp_recvmsg_locked: SOCK_DONE before sk_err)
	case s.err != nil:
		return s.fail()
	case s.rx.end == endThere, s.link == broken:
		return io.EOF
	case s.kind != aStream || s.link != linked:
		return syscall.ENOTCONN
	}
	return nil
}

// takeIn reads len(p) bytes and tells the writer, if it waits, that there is
// room now.
func (s *socket) takeIn(p []byte) {
	s.rx.take(p)
	w := s.peer
	if (w.blocked || w.polls.Len() > 0) && !w.roomDue && s.rx.room() > 0 {
		w.roomDue = true
		s.net.at(s.net.now+s.latency, event{kind: evRoom, sock: w})
	}
}

// sendMark notes what travels beside the bytes that come next.
func (s *socket) sendMark(control []byte, files []int) {
	rx := &s.peer.rx
	if len(control)+len(files) == 0 {
		return
	}
	if !s.local.IsUnix() || s.peer.closed {
		s.net.closeFiles(files)
		return
	}
	rx.marks = append(rx.marks, mark{at: rx.read + uint64(rx.queued()), control: slices.Clone(control), files: files})
}

// receiveMark hands over what came with the next byte: to m, or, if the owner
// does not ask for it, its files are closed, as recvmsg(2) without room does.
func (s *socket) receiveMark(m *proactor.Msg) {
	if m != nil {
		m.Control, m.Files, m.Info = m.Control[:0], m.Files[:0], proactor.Info{}
		if s.opt.RecvCredentials == proactor.On && s.local.IsUnix() {
			m.Info = proactor.Info{Has: proactor.HasCredentials, Credentials: credentials(s.peer)}
		}
	}
	came, ok := s.rx.mark()
	switch {
	case !ok:
	case m == nil:
		s.net.closeFiles(came.files)
	default:
		m.Control, m.Files = append(m.Control, came.control...), append(m.Files, came.files...)
	}
}

// dropMarks closes the files of the marks from a position on: nobody will
// receive them.
func (s *socket) dropMarks(from uint64) {
	for i := len(s.rx.marks) - 1; i >= 0 && s.rx.marks[i].at >= from; i-- {
		s.net.closeFiles(s.rx.marks[i].files)
		s.rx.marks = s.rx.marks[:i]
	}
}

// spareBuffer returns an empty buffer of a stream that has ended, or nil.
func (n *Net) spareBuffer() []byte {
	last := len(n.spare) - 1
	if last < 0 {
		return nil
	}
	p := n.spare[last]
	n.spare = n.spare[:last]
	return p
}
