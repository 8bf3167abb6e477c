package backendtest

import (
	"errors"
	"net/netip"
	"syscall"
	"time"

	"mobius/proactor"
)

// Sentence 9: sockets, their names and options. What needs a look at the
// descriptor itself is in sockets_posix.go.

func s9NamesAgree(w *world) {
	for _, n := range []proactor.Network{proactor.TCP, proactor.Unix} {
		w.network = n
		a, b, told := w.connectWith(nil)
		aLocal, aRemote, err := a.d.b.Names(a.h)
		if err != nil {
			w.Fatalf("Names: %v", err)
		}
		bLocal, bRemote, err := b.d.b.Names(b.h)
		if err != nil {
			w.Fatalf("Names: %v", err)
		}
		if aLocal != bRemote || aRemote != bLocal || told != bRemote || aLocal.Kind() != n || bLocal.Kind() != n {
			w.Fatalf("%v: client %v → %v, server %v → %v, accept told %v", n, aLocal, aRemote, bLocal, bRemote, told)
		}
		if n == proactor.TCP && (aLocal.Port() == 0 || bLocal.Port() == 0) || n == proactor.Unix && aLocal.Path() != "" {
			w.Fatalf("client %v, server %v", aLocal, bLocal)
		}
		l := w.server.bind(w.freshAddress(), nil)
		if local, remote, err := w.server.b.Names(l.h); err != nil || local != l.local || remote.IsValid() {
			w.Fatalf("listener at %v: Names %v, %v, %v", l.local, local, remote, err)
		}
	}
	w.network = proactor.TCP
}

func s9IPv6(w *world) {
	h, local, err := w.server.b.Listen(proactor.IPAddress(proactor.TCP, netip.IPv6Loopback(), 0), nil)
	if err != nil {
		w.Logf("no IPv6 here: %v", err)
		return
	}
	l := w.server.listener(w.server.own(h), local)
	l.submit()
	a, b := w.join(l)
	bLocal, bRemote, err := b.d.b.Names(b.h)
	if aLocal, _, err2 := a.d.b.Names(a.h); err != nil || err2 != nil || bLocal != local || bRemote != aLocal || l.peer != aLocal {
		w.Fatalf("Names %v, %v (%v), the client is %v (%v)", bLocal, bRemote, err, aLocal, err2)
	}
}

func s9WildcardTakesIPv4(w *world) {
	h, local, err := w.server.b.Listen(proactor.IPAddress(proactor.TCP, netip.Addr{}, 0), nil)
	if err != nil {
		w.Fatalf("Listen on the wildcard: %v", err)
	}
	l := w.server.listener(w.server.own(h), local)
	l.submit()
	l.local = w.freshAddress().WithPort(local.Port())
	a, _ := w.join(l)
	if aLocal, _, _ := a.d.b.Names(a.h); l.peer != aLocal || !l.peer.IP().Is4() {
		w.Fatalf("accept tells %v, the client is %v: IPv4 addresses are never in IPv6 form", l.peer, aLocal)
	}
}

func s9ABusyPortIsAnError(w *world) {
	w.each(func() {
		l := w.server.bind(w.freshAddress(), nil)
		for _, o := range []*proactor.SocketOptions{nil, {ReusePort: true}} {
			if h, _, err := w.server.b.Listen(l.local, o); !errors.Is(err, syscall.EADDRINUSE) {
				if err == nil {
					w.server.own(h)
				}
				w.Errorf("%v: second Listen with %+v: %v, want EADDRINUSE", w.network, o, err)
			}
		}
	})
}

func s9ReusePortShares(w *world) {
	o := &proactor.SocketOptions{ReusePort: true}
	first := w.server.bind(w.freshAddress(), o)
	second := w.server.bind(first.local, o)
	first.submit()
	second.submit()
	const n = 64
	for range n {
		w.client.dial(first.local).wait()
	}
	w.until("all are accepted, by one or the other", func() bool { return first.count+second.count == n })
	if first.count == 0 || second.count == 0 {
		w.Errorf("%d and %d connections on a shared port", first.count, second.count)
	}
	if _, _, err := w.server.b.Listen(first.local, nil); !errors.Is(err, syscall.EADDRINUSE) {
		w.Errorf("Listen without ReusePort on a shared port: %v, want EADDRINUSE", err)
	}
}

func s9ConnectsFromALocalAddress(w *world) {
	l := w.server.listen(nil)
	from := proactor.IPAddress(proactor.TCP, netip.AddrFrom4([4]byte{127, 0, 0, 2}), 0)
	h, err := w.client.b.Stream(l.local, &proactor.SocketOptions{Local: from})
	if err != nil {
		w.Fatalf("Stream with Local %v: %v", from, err)
	}
	c := &dialer{w.client.probe(proactor.OpConnect, w.client.own(h)), stream{w.client, h}}
	c.Addr = &l.local
	c.submit()
	c.wait()
	w.until("it is accepted", func() bool { return len(l.peers) > 0 })
	if l.peers[0].IP() != from.IP() {
		w.Fatalf("the peer is %v, want it from %v", l.peers[0], from.IP())
	}
}

// s9APeerThatIsGone connects and resets before the accept: such a connection
// is either delivered with its address, and then found dead, or counted.
func s9APeerThatIsGone(w *world) {
	l := w.server.bind(w.freshAddress(), nil)
	const n = 5
	for range n {
		c := w.client.dial(l.local).wait()
		c.reset()
	}
	before := w.server.b.Stats().PeerGone
	l.submit()
	good := w.client.dial(l.local).wait()
	local, _, err := good.d.b.Names(good.h)
	if err != nil {
		w.Fatalf("Names: %v", err)
	}
	w.until("the live one is accepted", func() bool {
		for _, p := range l.peers {
			if p == local {
				return true
			}
		}
		return !l.live
	})
	gone := w.server.b.Stats().PeerGone - before
	if !l.live || gone+uint64(l.count) != n+1 {
		w.Fatalf("%d counted as gone, %d delivered, of %d; accept goes on: %v (%v)", gone, l.count, n+1, l.live, l.err)
	}
	for i, p := range l.peers {
		if p == local {
			continue
		}
		if !p.IsValid() || p.Port() == 0 {
			w.Errorf("delivered with the address %v", p)
		}
		r := stream{w.server, l.queue[i]}.read(0)
		w.until("a dead connection is found dead", r.isIdle)
		if !isReset(r.err) {
			w.Errorf("recv on a dead connection: %v", r.err)
		}
	}
}

func s9RefuseResets(w *world) {
	l := w.server.bind(w.freshAddress(), nil)
	var clients [3]stream
	for i := range clients {
		clients[i] = w.client.dial(l.local).wait()
	}
	refused := 0
	w.settles("all pending connections are refused", func() bool {
		n, err := w.server.b.Refuse(l.h, 2)
		if err != nil || n > 2 {
			w.Fatalf("Refuse(2): %d, %v", n, err)
		}
		refused += n
		return refused == len(clients)
	})
	if n, err := w.server.b.Refuse(l.h, 2); n != 0 || err != nil {
		w.Fatalf("Refuse with none pending: %d, %v", n, err)
	}
	for _, c := range clients {
		r := c.read(0)
		w.until("a refused peer hears of it", r.isIdle)
		if !isReset(r.err) {
			w.Errorf("a refused peer sees %v, want ECONNRESET", r.err)
		}
	}
	if n := w.server.b.Stats().Refused - w.server.base.Refused; n != 3 {
		w.Errorf("Stats counts %d refused, want 3", n)
	}
	l.submit()
	w.join(l) // the reserve is back and the listener is well
}

func s9PeerCredentials(w *world) {
	a, b := w.unixPair()
	for _, s := range []stream{a, b} {
		c, err := s.d.b.PeerCredentials(s.h)
		if err != nil || c.PID <= 0 && !w.cfg.Virtual && w.cfg.Descriptors {
			w.Errorf("PeerCredentials: %+v, %v", c, err)
		}
	}
	c, d := w.connect()
	for _, s := range []stream{c, d} {
		if _, err := s.d.b.PeerCredentials(s.h); err != syscall.EOPNOTSUPP {
			w.Errorf("PeerCredentials of a TCP stream: %v, want EOPNOTSUPP", err)
		}
	}
}

// s9aOptionsAreReadBack looks at both ends of a connection, and at a datagram
// socket before and after a change.
func s9aOptionsAreReadBack(w *world) {
	want := proactor.SocketOptions{
		Delay: proactor.On, KeepAlive: 40 * time.Second, KeepAliveInterval: 7 * time.Second, KeepAliveCount: 3,
		UserTimeout: 9 * time.Second, NotSentLowat: 5000, SendBuffer: 50_000, RecvBuffer: 60_000,
	}
	a, b, _ := w.connectWith(&want)
	for what, s := range map[string]stream{"connected": a, "accepted": b} {
		got, err := s.d.b.Options(s.h)
		if got.SendBuffer == 2*want.SendBuffer && got.RecvBuffer == 2*want.RecvBuffer { // socket(7)
			got.SendBuffer, got.RecvBuffer = want.SendBuffer, want.RecvBuffer
		}
		if err != nil || got != want {
			w.Errorf("%s: %+v, %v\nwant %+v", what, got, err, want)
		}
	}
	h, _ := w.server.packetAt(anyUDP, &proactor.SocketOptions{Broadcast: proactor.On, TTL: 33})
	change := &proactor.SocketOptions{MulticastTTL: 5, MulticastLoop: proactor.Off, Broadcast: proactor.Off, RecvTTL: proactor.On}
	before, err := w.server.b.Options(h)
	if err != nil || before.Broadcast != proactor.On || before.TTL != 33 || before.MulticastTTL != 1 ||
		before.MulticastLoop != proactor.On {
		w.Errorf("a new datagram socket: %+v, %v", before, err)
	}
	if err := w.server.b.SetOptions(h, change); err != nil {
		w.Errorf("SetOptions: %v", err)
	}
	after, err := w.server.b.Options(h)
	if err != nil || after.Broadcast != proactor.Off || after.TTL != 33 || after.MulticastTTL != 5 ||
		after.MulticastLoop != proactor.Off || after.RecvTTL != proactor.On {
		w.Errorf("after a change: %+v, %v", after, err)
	}
	if _, err := w.server.b.Options(0); err != proactor.ErrClosed {
		w.Errorf("Options of no handle: %v, want ErrClosed", err)
	}
}

func s9OptionsAreAccepted(w *world) {
	o := &proactor.SocketOptions{
		Delay: proactor.On, KeepAlive: time.Minute, UserTimeout: time.Minute, SendBuffer: 1 << 16, RecvBuffer: 1 << 16, Backlog: 10,
	}
	w.each(func() {
		a, b, _ := w.connectWith(o)
		for _, s := range []stream{a, b} {
			if err := s.d.b.SetOptions(s.h, o); err != nil {
				w.Errorf("%v: SetOptions: %v", w.network, err)
			}
			if err := s.d.b.SetOptions(s.h, &proactor.SocketOptions{}); err != nil {
				w.Errorf("%v: SetOptions of nothing: %v", w.network, err)
			}
		}
		r := b.read(1)
		a.say(made(1, 0, 10))
		w.until("it works with all options set", r.has(10))
	})
}
