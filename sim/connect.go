package sim

import (
	"net/netip"
	"slices"
	"syscall"
	"time"

	"mobius/proactor"
)

// A listener is the rest of a listening socket.
type listener struct {
	backlog []*socket // connections that nobody has accepted, oldest first
	limit   int
	waiters []event // evConnects that wait for room (unix)
}

// startConnect sends the connection request of op.
func (b *Backend) startConnect(op *proactor.Op, s *socket) {
	n := b.net
	switch {
	case op.Addr == nil || !op.Addr.IsValid():
		b.finish(op, 0, syscall.EINVAL)
	case s.kind == aPacket:
		b.finish(op, 0, n.connectPacket(s, whereTo(*op.Addr)))
	case s.kind != aStream:
		b.finish(op, 0, syscall.EOPNOTSUPP)
	case s.link == linking:
		b.finish(op, 0, syscall.EALREADY)
	case s.link != fresh:
		b.finish(op, 0, syscall.EISCONN)
	case s.local.Kind() != op.Addr.Kind():
		b.finish(op, 0, syscall.EAFNOSUPPORT)
	default:
		s.link = linking
		s.remote = whereTo(*op.Addr)
		s.latency = latencyOf(s.remote)
		if !s.remote.IsUnix() {
			n.bindEphemeral(s)
		}
		n.at(n.soon()+s.latency, b.event(evConnect, op))
	}
}

// connectPacket chooses a datagram socket's peer, which must be there only if
// it is a unix socket.
func (n *Net) connectPacket(s *socket, to proactor.Address) error {
	switch r := n.find(to); {
	case to.Kind() != s.local.Kind():
		return syscall.EAFNOSUPPORT
	case to.IsUnix() && r == nil:
		return syscall.ENOENT
	case to.IsUnix() && r.kind != aPacket:
		return syscall.EPROTOTYPE
	}
	s.remote = to
	return nil
}

// whereTo returns the address that a connection to a goes to: the wildcard is
// this host.
func whereTo(a proactor.Address) proactor.Address {
	switch {
	case a.IsUnix():
		return a
	case !a.IP().IsValid() || a.IP() == netip.IPv4Unspecified():
		return proactor.IPAddress(a.Kind(), netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
	case a.IP() == netip.IPv6Unspecified():
		return proactor.IPAddress(a.Kind(), netip.IPv6Loopback(), a.Port())
	}
	return a
}

func latencyOf(a proactor.Address) int64 {
	if a.IsUnix() {
		return unixLatency
	}
	return netLatency
}

// requestLink is the other kernel's answer to a connection request.
func (b *Backend) requestLink(op *proactor.Op, s *socket) {
	n := b.net
	if op.B.Flags&finished != 0 {
		return
	}
	back := n.now + s.latency
	l := n.find(s.remote)
	switch {
	case n.chance(Timeout):
		b.finishLater(op, 0, syscall.ETIMEDOUT, n.now+connectWait)
		return
	case l == nil && s.remote.IsUnix() && !s.remote.IsAbstract():
		b.finishLater(op, 0, syscall.ENOENT, back)
		return
	case l == nil, l.closed, l.kind != aListener, n.chance(Refuse):
		b.finishLater(op, 0, syscall.ECONNREFUSED, back)
		return
	case len(l.listen.backlog) >= l.listen.limit:
		b.retryLink(op, s, l)
		return
	}
	peer := n.newSocket(aStream)
	peer.local, peer.remote, peer.opt = s.remote, s.local, l.opt
	join(s, peer, s.latency)
	l.listen.backlog = append(l.listen.backlog, peer)
	l.wakeReader()
	b.finishLater(op, 0, nil, back)
	if n.chance(Reset) {
		// Some live for microseconds, some for seconds.
		life := time.Microsecond << n.rng.IntN(24)
		n.at(n.now+int64(life), event{kind: evBreak, sock: peer})
	}
}

// retryLink has a connection request sent again, since the backlog is full:
// over IP the request was dropped, and is repeated after 1, 2, 4, … seconds
// until 127 have passed (tcp(7), tcp_syn_retries); on a unix socket the caller
// waits for room.
func (b *Backend) retryLink(op *proactor.Op, s, l *socket) {
	if s.remote.IsUnix() {
		l.listen.waiters = append(l.listen.waiters, b.event(evConnect, op))
		return
	}
	wait := int64(time.Second) << op.B.Done
	op.B.Done++
	if op.B.Done > 7 {
		b.finish(op, 0, syscall.ETIMEDOUT)
		return
	}
	b.net.at(b.net.now+wait, b.event(evConnect, op))
}

// shorten takes connections off the front of the backlog.
func (l *listener) shorten(n *Net, count int) {
	l.backlog = slices.Delete(l.backlog, 0, count)
	l.admit(n, count)
}

// admit lets connectors that wait for room try again.
func (l *listener) admit(n *Net, count int) {
	count = min(count, len(l.waiters))
	for _, e := range l.waiters[:count] {
		n.at(n.now+unixLatency, e)
	}
	l.waiters = slices.Delete(l.waiters, 0, count)
}

// settle ends s's connecting with err, or with what has happened to the
// connection meanwhile, and returns that.
func (s *socket) settle(err error) error {
	if s == nil || s.kind != aStream || s.link == linked {
		return err
	}
	if err == nil {
		err = s.fail()
	}
	switch {
	case err == nil:
		s.link = linked
	case s.link == linking && s.peer == nil:
		s.link = fresh // the request was never answered: another may be sent
	}
	return err
}

// find returns the listener that a connection to a reaches, nil if there is
// none. If several share the port, one is drawn.
func (n *Net) find(a proactor.Address) *socket {
	if a.IsUnix() {
		return n.paths[a]
	}
	bound := n.ports[portKey{a.Kind(), a.Port()}]
	exact, any := 0, 0
	for _, s := range bound {
		switch {
		case s.listen == nil && s.kind != aPacket:
		case s.local.IP() == a.IP():
			exact++
		case isWildcard(s.local):
			any++
		}
	}
	if exact+any == 0 {
		return nil
	}
	pick := max(exact, 0)
	if exact == 0 {
		pick = any
	}
	if pick > 1 {
		pick = n.upTo(pick)
	}
	for _, s := range bound {
		if s.listen == nil && s.kind != aPacket {
			continue
		}
		if exact > 0 && s.local.IP() == a.IP() || exact == 0 && isWildcard(s.local) {
			if pick--; pick == 0 {
				return s
			}
		}
	}
	return nil
}

func isWildcard(a proactor.Address) bool { return !a.IP().IsValid() || a.IP().IsUnspecified() }

// performAccept hands over the oldest connection that waits, or ends op.
func (b *Backend) performAccept(op *proactor.Op, s *socket) {
	l := s.listen
	if l == nil {
		b.end(op, 0, syscall.EINVAL)
		return
	}
	for len(l.backlog) > 0 {
		if b.net.chance(AcceptError) {
			errs := [...]error{syscall.EMFILE, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ECONNABORTED}
			b.end(op, 0, errs[b.net.rng.IntN(len(errs))])
			return
		}
		c := l.backlog[0]
		if c.link == broken || b.net.chance(PeerGone) {
			l.shorten(b.net, 1)
			b.stats.PeerGone++
			c.abort()
			continue
		}
		h, err := b.newHandle(c)
		if err != nil {
			b.end(op, 0, err)
			return
		}
		l.shorten(b.net, 1)
		op.New = h
		if op.Addr != nil {
			*op.Addr = c.remote
		}
		defer b.again(op, s) // also if Complete panics
		b.complete(op, 0, nil, true)
		return
	}
}

// readyToRead reports whether an op that reads from s would complete.
func (s *socket) readyToRead() bool {
	switch s.kind {
	case aListener:
		return len(s.listen.backlog) > 0
	case aPacket:
		return s.err != nil || len(s.mail.queue) > 0
	case aStream:
		return s.rx.arrived > 0 || s.err != nil || s.rx.end == endThere || s.link == broken
	}
	return true
}

// readyToWrite reports the same for an op that writes.
func (s *socket) readyToWrite() bool {
	switch {
	case s.kind == aListener:
		return false
	case s.kind != aStream:
		return true
	}
	return s.err != nil || s.noWrite || s.link == broken || s.link == linked && s.peer.rx.room() > 0
}
