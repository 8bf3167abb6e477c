package sim

import (
	"slices"
	"syscall"

	"mobius/proactor"
)

// A flight is a datagram, or a train of them that was sent as one
// (UDP_SEGMENT), on its way or in a mailbox.
type flight struct {
	data    []byte
	control []byte
	files   []int
	info    proactor.Info // as the receiver's kernel tells it
	from    proactor.Address
	segment int // bytes of each datagram of the train, the last one's excepted
	off     int // bytes of it that were received
	next    int32
}

// A mailbox is the rest of a datagram socket.
type mailbox struct {
	queue  []int32        // flights that have landed, oldest first
	coming int            // from unix sockets, and not landed: they have their place
	sends  []*proactor.Op // SendTo ops from here, in order
	groups []group        // memberships
}

// largestDatagram is the most that one UDP datagram carries (udp(7)), and
// largestLocal what one of a unix socket does, whose send buffer it must fit.
const (
	largestDatagram = 65507
	largestLocal    = 212992 - 32
)

func largest(to proactor.Address) int {
	if to.IsUnix() {
		return largestLocal
	}
	return largestDatagram
}

// Packet returns a datagram socket bound to local.
func (b *Backend) Packet(local proactor.Address, o *proactor.SocketOptions) (proactor.Handle, proactor.Address, error) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	if local.Kind() != proactor.UDP && local.Kind() != proactor.Unixgram {
		return 0, proactor.Address{}, syscall.EAFNOSUPPORT
	}
	if err := controls(o); err != nil {
		return 0, proactor.Address{}, err
	}
	s := b.net.newSocket(aPacket)
	s.mail = &mailbox{}
	if o != nil {
		s.opt = *o
	}
	return b.bound(s, local)
}

func (b *Backend) startSendTo(op *proactor.Op, s *socket) {
	if s.kind != aPacket {
		b.finish(op, 0, syscall.ENOTSOCK)
		return
	}
	if op.Msg != nil && len(op.Msg.Files) > 0 {
		files, err := b.net.duplicate(op.Msg.Files)
		if err != nil {
			b.finish(op, 0, err)
			return
		}
		b.slots[op.B.Slot].files = files
	}
	s.mail.sends = append(s.mail.sends, op)
	b.lookAt(op, b.net.soon())
}

// destination is where a SendTo goes.
func (s *socket) destination(op *proactor.Op) proactor.Address {
	if op.Addr != nil {
		return *op.Addr
	}
	return s.remote
}

// isFirst reports whether no SendTo of s to the same place was submitted before op.
func (s *socket) isFirst(op *proactor.Op) bool {
	to := s.destination(op)
	return op == s.mail.sends[slices.IndexFunc(s.mail.sends, func(o *proactor.Op) bool { return s.destination(o) == to })]
}

// nextSendTo takes op, which is ending, out of s's, and has the next one to the
// same place looked at.
func (b *Backend) nextSendTo(op *proactor.Op, s *socket) {
	at := slices.Index(s.mail.sends, op)
	if at < 0 {
		return
	}
	first := s.isFirst(op)
	s.mail.sends = slices.Delete(s.mail.sends, at, at+1)
	for _, next := range s.mail.sends[at:] {
		if first && s.destination(next) == s.destination(op) {
			b.lookAt(next, b.net.soon())
			return
		}
	}
}

// performSendTo sends op's datagram, or has it wait for room: over IP a full
// mailbox loses it, on unix sockets the sender waits.
func (b *Backend) performSendTo(op *proactor.Op, s *socket) {
	if !s.isFirst(op) {
		return // it is looked at when its turn comes
	}
	to := s.destination(op)
	segment := 0
	if op.Msg != nil {
		segment = op.Msg.SegmentSize
	}
	if to.IP().IsMulticast() && to.Kind() == s.local.Kind() && len(op.Buf) <= largestDatagram {
		b.flyToGroup(op, s, to, segment)
		return
	}
	r := b.net.find(whereTo(to))
	switch {
	case s.err != nil:
		b.end(op, 0, s.fail())
	case !to.IsValid():
		b.end(op, 0, syscall.EDESTADDRREQ)
	case to.Kind() != s.local.Kind():
		b.end(op, 0, syscall.EAFNOSUPPORT)
	case op.Msg != nil && len(op.Msg.Files) > 0 && !to.IsUnix():
		b.end(op, 0, syscall.EOPNOTSUPP)
	case len(op.Buf) > largest(to) && (segment <= 0 || segment > largest(to)):
		b.end(op, 0, syscall.EMSGSIZE)
	case to.IsUnix() && r == nil:
		b.end(op, 0, syscall.ENOENT)
	case to.IsUnix() && r.kind != aPacket:
		b.end(op, 0, syscall.EPROTOTYPE)
	case to.IsUnix() && len(r.mail.queue)+r.mail.coming >= b.net.o.DatagramBuffer:
		b.lookAt(op, b.net.now+longDelay)
	default:
		if r != nil {
			b.depart(op, s, r, to, segment)
		} else if s.remote == to { // the ICMP answer reaches only a connected socket (udp(7))
			s.err = syscall.ECONNREFUSED
		}
		b.end(op, len(op.Buf), nil)
	}
}

// mostSegments are what a train has at most, UDP_MAX_SEGMENTS.
const mostSegments = 64

// depart puts what op sends on its way: a datagram, a train, or one that goes apart.
func (b *Backend) depart(op *proactor.Op, s, r *socket, to proactor.Address, segment int) {
	if segment <= 0 || len(op.Buf) <= min(largest(to), mostSegments*segment) {
		b.fly(op, op.Buf, s, r, to, segment)
		return
	}
	for at := 0; at < len(op.Buf); at += segment {
		b.fly(op, op.Buf[at:min(at+segment, len(op.Buf))], s, r, to, 0)
	}
}

// fly puts a datagram of op, or a train, on its way from s to r.
func (b *Backend) fly(op *proactor.Op, data []byte, s, r *socket, to proactor.Address, segment int) {
	n := b.net
	at := &b.slots[op.B.Slot]
	times := 1
	if !s.local.IsUnix() {
		if n.chance(Drop) {
			return
		}
		if n.chance(Duplicate) {
			times = 2
		}
	}
	for ; times > 0; times-- {
		i := n.newFlight()
		f := &n.flying[i]
		f.data = append(f.data[:0], data...)
		f.from, f.segment, f.off = s.local, segment, 0
		f.control, f.info = f.control[:0], s.infoFor(r, op.Msg, to)
		if op.Msg != nil {
			f.control = append(f.control, op.Msg.Control...)
		}
		f.files, at.files = at.files, nil
		if isWildcard(f.from) && !f.from.IsUnix() {
			f.from = proactor.IPAddress(proactor.UDP, loopbackFor(r.local), f.from.Port())
		}
		t := n.now + latencyOf(s.local)
		if !s.local.IsUnix() && n.chance(Reorder) {
			t += n.rng.Int64N(longDelay)
		}
		if s.local.IsUnix() {
			r.mail.coming++
		}
		n.at(t, event{kind: evDatagram, sock: r, n: int(i)})
	}
}

func (n *Net) newFlight() int32 {
	i := n.free
	if i < 0 {
		n.flying = append(n.flying, flight{})
		return int32(len(n.flying) - 1)
	}
	n.free = n.flying[i].next
	return i
}

func (n *Net) endFlight(i int32) {
	f := &n.flying[i]
	n.closeFiles(f.files)
	f.files, f.next, n.free = nil, n.free, i
}

// land puts a datagram into s's mailbox; a full or closed one loses it, and one
// that is connected takes only its peer's (connect(2)).
func (n *Net) land(s *socket, i int32) {
	if s.local.IsUnix() {
		s.mail.coming--
	}
	stranger := s.remote.IsValid() && !s.remote.IsUnix() && n.flying[i].from != s.remote
	if s.closed || stranger || len(s.mail.queue) >= n.o.DatagramBuffer {
		n.endFlight(i)
		return
	}
	s.mail.queue = append(s.mail.queue, i)
	s.wakeReader()
}

func (n *Net) closeMail(s *socket) {
	for _, i := range s.mail.queue {
		n.endFlight(i)
	}
	s.mail.queue = nil
}

// performRecvFrom lends the oldest datagram, empty or not.
func (b *Backend) performRecvFrom(op *proactor.Op, s *socket) {
	switch {
	case s.kind != aPacket:
		b.end(op, 0, syscall.ENOTSOCK)
		return
	case op.Msg == nil && s.opt.SegmentedReceive == proactor.On:
		b.end(op, 0, proactor.ErrSegments)
		return
	case s.err != nil:
		b.end(op, 0, s.fail())
		return
	case len(s.mail.queue) == 0 || !b.borrow(op):
		return
	}
	i := s.mail.queue[0]
	f := &b.net.flying[i]
	data, segment := f.data[f.off:], f.segment
	if segment > 0 && (s.opt.SegmentedReceive != proactor.On || !b.net.chance(Join)) {
		data, segment = data[:min(segment, len(data))], 0
	}
	f.off += len(data)
	size := min(len(data), b.net.o.DatagramSize)
	op.Buf = b.lend(size)
	copy(op.Buf, data)
	if op.Addr != nil {
		*op.Addr = f.from
	}
	if m := op.Msg; m != nil {
		m.Control, m.Files = append(m.Control[:0], f.control...), append(m.Files[:0], f.files...)
		m.Truncated, m.SegmentSize, m.Info = size < len(data), segment, f.info
		f.files = nil
	}
	if f.off == len(f.data) {
		s.mail.queue = slices.Delete(s.mail.queue, 0, 1)
		b.net.endFlight(i)
	}
	b.completeLent(op, s, size, false)
}
