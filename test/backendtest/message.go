package backendtest

import (
	"bytes"
	"net/netip"
	"syscall"

	"mobius/proactor"
)

// Sentences 12a to 12f: what travels beside datagrams, and beside the bytes of
// unix streams.

// A letter is a datagram that has arrived.
type letter struct {
	text  []byte
	from  proactor.Address
	msg   proactor.Msg // Control is the backend's again
	files []int
}

// A box collects the datagrams of a socket.
type box struct {
	*probe
	letters []letter
}

// box receives on h, with what travels beside the bytes.
func (d *driver) box(h proactor.Handle) *box {
	x := &box{probe: d.probe(proactor.OpRecvFrom, h)}
	x.Addr, x.Msg = &proactor.Address{}, &proactor.Msg{}
	x.on = func() {
		if x.Err == nil {
			x.letters = append(x.letters, letter{bytes.Clone(x.Buf), *x.Addr, *x.Msg, append([]int(nil), x.Msg.Files...)})
		}
	}
	x.submit()
	return x
}

// has returns a condition: n datagrams have arrived, or there will be none.
func (x *box) has(n int) func() bool {
	return func() bool { return len(x.letters) >= n || !x.live }
}

// post submits a datagram.
func (d *driver) post(from proactor.Handle, to proactor.Address, text []byte, m *proactor.Msg) *probe {
	p := d.probe(proactor.OpSendTo, from)
	p.Addr, p.Buf, p.Msg = &to, text, m
	p.submit()
	return p
}

// packetAt returns a datagram socket with options.
func (d *driver) packetAt(at proactor.Address, o *proactor.SocketOptions) (proactor.Handle, proactor.Address) {
	d.w.Helper()
	h, local, err := d.b.Packet(at, o)
	if err != nil {
		d.w.Fatalf("Packet(%v): %v", at, err)
	}
	return d.own(h), local
}

var anyUDP = proactor.IPAddress(proactor.UDP, netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)

// s12aOrderIsKept sends many datagrams at once, some of which fail.
func s12aOrderIsKept(w *world) {
	if !w.hasDatagrams() {
		return
	}
	from, _ := w.client.packet()
	to, at := w.server.packet()
	x := w.server.box(to)
	var want []byte
	var outs []*probe
	for i := range byte(40) {
		if i%7 == 3 {
			outs = append(outs, w.client.post(from, at, make([]byte, 70_000), nil)) // no datagram is so large
			continue
		}
		want = append(want, i)
		outs = append(outs, w.client.post(from, at, []byte{i}, nil))
	}
	w.until("all but those that failed have arrived", x.has(len(want)))
	for i, l := range x.letters {
		if len(l.text) != 1 || l.text[0] != want[i] {
			w.Fatalf("datagram %d is %v, want %v", i, l.text, want[i])
		}
	}
	for i, p := range outs {
		w.until("each SendTo completes", p.isIdle)
		if (p.err == syscall.EMSGSIZE) != (i%7 == 3) || p.err == nil && p.n != 1 {
			w.Fatalf("SendTo %d: %d, %v", i, p.n, p.err)
		}
	}
}

// s12aAFullReceiverDelaysOnlyItsOwn: unix sockets lose nothing, so that a
// sender waits for a receiver that does not read; others get theirs meanwhile.
func s12aAFullReceiverDelaysOnlyItsOwn(w *world) {
	if !w.hasDatagrams() {
		return
	}
	dir := w.dir()
	slow, slowAt := w.server.packetAt(proactor.UnixgramAddress(dir+"/slow"), nil)
	quick, quickAt := w.server.packetAt(proactor.UnixgramAddress(dir+"/quick"), nil)
	from, _ := w.client.packetAt(proactor.UnixgramAddress(""), nil)
	x := w.server.box(quick)
	const n = 700 // more than wait for one receiver (net.unix.max_dgram_qlen, socket buffers)
	var outs []*probe
	for i := range n {
		outs = append(outs, w.client.post(from, slowAt, []byte{byte(i), byte(i >> 8)}, nil))
	}
	stuck := w.client.post(from, slowAt, []byte("canceled"), nil)
	w.client.post(from, quickAt, []byte("now"), nil)
	w.until("the receiver that reads gets its datagram", x.has(1))
	if outs[n-1].isIdle() {
		w.Fatalf("%d datagrams were taken for a socket that nobody reads", n)
	}
	stuck.cancel()
	w.until("a SendTo that waits is canceled", stuck.isIdle)
	if stuck.err != proactor.ErrCanceled {
		w.Fatalf("it ends with %v, want ErrCanceled", stuck.err)
	}
	y := w.server.box(slow)
	w.until("all arrive once they are read", y.has(n))
	for i, l := range y.letters {
		if len(l.text) != 2 || int(l.text[0])|int(l.text[1])<<8 != i || l.from.Path() != "" {
			w.Fatalf("datagram %d is %v from %v", i, l.text, l.from)
		}
		w.until("its SendTo completes", outs[i].isIdle)
	}
}

func s12bTruncationIsTold(w *world) {
	if !w.hasDatagrams() {
		return
	}
	size := w.cfg.Datagram
	if size == 0 {
		size = 64 << 10
	}
	to, at := w.server.packetAt(proactor.UnixgramAddress(w.dir()+"/d"), nil)
	from, _ := w.client.packetAt(proactor.UnixgramAddress(""), nil)
	x := w.server.box(to)
	for i, n := range []int{size, size + 1, 3 * size, 3} {
		out := w.client.post(from, at, made(7, 0, n), nil)
		w.until("it is sent and arrives", func() bool { return out.isIdle() && x.has(i+1)() })
		l := &x.letters[i]
		cut := len(l.text) < n // a buffer may have some more room than it must
		if len(l.text) < min(n, size) || cut != l.msg.Truncated || n > 2*size && !cut || mismatch(7, 0, l.text) >= 0 {
			w.Fatalf("of %d bytes %d arrive, truncated: %v", n, len(l.text), l.msg.Truncated)
		}
	}
}

func s12cInfoBothWays(w *world) {
	if !w.hasDatagrams() {
		return
	}
	told := &proactor.SocketOptions{RecvTTL: proactor.On, RecvLocal: proactor.On, RecvTrafficClass: proactor.On}
	from, _ := w.client.packetAt(anyUDP, &proactor.SocketOptions{TTL: 40})
	to, at := w.server.packetAt(anyUDP, told)
	x := w.server.box(to)
	w.client.post(from, at, []byte("plain"), nil)
	special := &proactor.Msg{Info: proactor.Info{Has: proactor.HasTTL, TTL: 9}}
	special.Info.SetECN(proactor.CE)
	w.client.post(from, at, []byte("special"), special)
	w.until("both arrive", x.has(2))
	const all = proactor.HasTTL | proactor.HasLocal | proactor.HasTrafficClass
	for i, want := range []proactor.Info{{TTL: 40}, {TTL: 9, TrafficClass: uint8(proactor.CE)}} {
		got := x.letters[i].msg.Info
		if got.Has != all || got.TTL != want.TTL || got.TrafficClass != want.TrafficClass || got.Local != at.IP() || got.Interface == 0 {
			w.Errorf("%q: info %+v, want TTL %d and class %d, at %v", x.letters[i].text, got, want.TTL, want.TrafficClass, at.IP())
		}
	}
}

func s12cSegmentsAreCutAndJoined(w *world) {
	if !w.hasDatagrams() {
		return
	}
	size := 100
	if w.cfg.Datagram > 0 {
		size = min(size, w.cfg.Datagram/8)
	}
	from, _ := w.client.packet()
	for _, o := range []*proactor.SocketOptions{nil, {SegmentedReceive: proactor.On}} {
		to, at := w.server.packetAt(anyUDP, o)
		x := w.server.box(to)
		out := w.client.post(from, at, made(3, 0, 5*size-1), &proactor.Msg{SegmentSize: size})
		total := func() (n int) {
			for _, l := range x.letters {
				n += len(l.text)
			}
			return n
		}
		w.until("all segments arrive", func() bool { return total() == 5*size-1 && out.isIdle() })
		off := 0
		for _, l := range x.letters {
			whole := l.msg.SegmentSize == 0 && len(l.text) <= size || l.msg.SegmentSize == size && o != nil
			if !whole || mismatch(3, int64(off), l.text) >= 0 || l.msg.Truncated {
				w.Fatalf("at %d: %d bytes in segments of %d", off, len(l.text), l.msg.SegmentSize)
			}
			off += len(l.text)
		}
	}
}

// s12fRefusedTrainsGoApart has more segments than a kernel takes together, and others
// before and behind them.
func s12fRefusedTrainsGoApart(w *world) {
	if !w.hasDatagrams() {
		return
	}
	const size, count = 5, 150
	from, _ := w.client.packet()
	to, at := w.server.packet()
	x := w.server.box(to)
	all := made(9, 0, (count+2)*size)
	var outs []*probe
	for _, cut := range [][]byte{all[:size], all[size : (count+1)*size-1], all[(count+1)*size:]} {
		outs = append(outs, w.client.post(from, at, cut, &proactor.Msg{SegmentSize: size}))
	}
	w.until("all arrive", func() bool {
		return len(x.letters) == count+2 && outs[0].isIdle() && outs[1].isIdle() && outs[2].isIdle()
	})
	for i, l := range x.letters {
		want := size
		if i == count {
			want-- // the train's last
		}
		if len(l.text) != want || mismatch(9, int64(i*size), l.text) >= 0 {
			w.Fatalf("datagram %d is %x of %d bytes, want %x", i, l.text, len(l.text), all[i*size:][:want])
		}
	}
	for i, o := range outs {
		if o.err != nil || o.n != len(o.Buf) {
			w.Errorf("send %d ends with %d of %d, %v", i, o.n, len(o.Buf), o.err)
		}
	}
}

// s12cSegmentsNeedAMsg: without one nobody could tell where each datagram ends.
func s12cSegmentsNeedAMsg(w *world) {
	if !w.hasDatagrams() {
		return
	}
	joins := &proactor.SocketOptions{SegmentedReceive: proactor.On}
	from, _ := w.client.packet()
	to, at := w.server.packetAt(anyUDP, joins)
	bare := w.server.probe(proactor.OpRecvFrom, to)
	bare.submit()
	w.until("a RecvFrom without a Msg ends", bare.isIdle)
	if bare.err != proactor.ErrSegments {
		w.Fatalf("it ended with %v, want %v", bare.err, proactor.ErrSegments)
	}
	x := w.server.box(to)
	w.client.post(from, at, []byte("still whole"), nil)
	w.until("one with a Msg receives", x.has(1))
	other, _ := w.server.packet()
	bare = w.server.probe(proactor.OpRecvFrom, other)
	bare.submit()
	w.server.poll(0)
	if err := w.server.b.SetOptions(other, joins); err != proactor.ErrSegments {
		w.Fatalf("SetOptions under a RecvFrom without a Msg: %v, want %v", err, proactor.ErrSegments)
	}
	if !bare.live {
		w.Fatalf("that RecvFrom has ended: %v", bare.err)
	}
}

func s12dMembersGetMulticasts(w *world) {
	if !w.hasDatagrams() {
		return
	}
	group := netip.AddrFrom4([4]byte{239, byte(w.rand.IntN(256)), byte(w.rand.IntN(256)), 1 + byte(w.rand.IntN(250))})
	m := proactor.Membership{Group: group, Interface: "127.0.0.1"}
	share := &proactor.SocketOptions{ReusePort: true}
	one, at := w.server.packetAt(proactor.IPAddress(proactor.UDP, netip.IPv4Unspecified(), 0), share)
	two, _ := w.server.packetAt(at, share)
	from, _ := w.client.packetAt(anyUDP, &proactor.SocketOptions{MulticastInterface: "127.0.0.1"})
	to := proactor.IPAddress(proactor.UDP, group, at.Port())
	x, y := w.server.box(one), w.server.box(two)
	count := func(x *box, text string) (n int) {
		for _, l := range x.letters {
			if string(l.text) == text {
				n++
			}
		}
		return n
	}
	steps := []struct {
		text         string
		first        func() error
		xGets, yGets int
	}{
		{"one", func() error { return w.server.b.Join(one, m) }, 1, 0},
		{"both", func() error { return w.server.b.Join(two, m) }, 1, 1},
		{"other", func() error { return w.server.b.Leave(one, m) }, 0, 1},
	}
	for _, s := range steps {
		if err := s.first(); err != nil {
			w.Fatalf("membership of %v: %v", group, err)
		}
		w.client.post(from, to, []byte(s.text), nil)
		w.until("members get it", func() bool { return count(x, s.text) >= s.xGets && count(y, s.text) >= s.yGets })
	}
	w.never("others get it", w.brief(), func() bool { return len(x.letters) > 2 || len(y.letters) > 2 })
	if err := w.server.b.Leave(one, m); err != syscall.EADDRNOTAVAIL {
		w.Errorf("Leave of what is no member: %v, want EADDRNOTAVAIL", err)
	}
}
