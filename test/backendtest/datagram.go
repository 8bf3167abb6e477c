package backendtest

import (
	"net/netip"

	"mobius/proactor"
)

// Sentence 12: datagrams.

// packet returns a bound datagram socket.
func (d *driver) packet() (proactor.Handle, proactor.Address) {
	d.w.Helper()
	h, local, err := d.b.Packet(proactor.IPAddress(proactor.UDP, netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), nil)
	if err != nil {
		d.w.Fatalf("Packet: %v", err)
	}
	return d.own(h), local
}

// hasDatagrams reports whether the backend under test has datagrams at all.
func (w *world) hasDatagrams() bool {
	w.Helper()
	_, b := w.connect() // a handle that is good, though for something else
	for _, k := range []proactor.Kind{proactor.OpRecvFrom, proactor.OpSendTo} {
		if !w.supports(k, b.h) {
			return false
		}
	}
	return true
}

func s12BoundsAreKept(w *world) {
	if !w.hasDatagrams() {
		return
	}
	from, sender := w.client.packet()
	to, at := w.server.packet()
	in := w.server.probe(proactor.OpRecvFrom, to)
	var peer proactor.Address
	var got [][]byte
	in.Addr, in.Msg = &peer, &proactor.Msg{}
	in.on = func() {
		if in.Err != nil {
			return
		}
		if peer != sender {
			w.report("a datagram of %v, want one of %v", peer, sender)
		}
		got = append(got, append([]byte(nil), in.Op.Buf...))
	}
	in.submit()
	sizes := []int{1, 0, 100, w.size(1400), 0, 7} // an empty one is one, and ends nothing
	for i, n := range sizes {
		out := w.client.probe(proactor.OpSendTo, from)
		out.Addr, out.Buf = &at, made(uint64(i), 0, n)
		out.submit()
		w.until("a datagram is sent and arrives", func() bool { return out.isIdle() && len(got) == i+1 })
		if out.err != nil || out.n != n || len(got[i]) != n || mismatch(uint64(i), 0, got[i]) >= 0 {
			w.Fatalf("datagram %d of %d bytes: N %d, %v, %d arrive", i, n, out.n, out.err, len(got[i]))
		}
	}
	if !in.live {
		w.Fatalf("RecvFrom has ended: %v", in.err)
	}
}

func s12SeveralSendTo(w *world) {
	if !w.hasDatagrams() {
		return
	}
	from, _ := w.client.packet()
	const n = 20
	seen := map[int]int{}
	var outs [n]*probe
	for i := range n {
		to, at := w.server.packet() // each has its own destination
		in := w.server.probe(proactor.OpRecvFrom, to)
		in.on = func() {
			if in.Err == nil && len(in.Op.Buf) == i+1 {
				seen[i]++
			}
		}
		in.submit()
		outs[i] = w.client.probe(proactor.OpSendTo, from)
		outs[i].Addr, outs[i].Buf = &at, make([]byte, i+1)
		outs[i].submit() // all at once on one handle
	}
	w.until("each arrives where it was sent", func() bool {
		for i := range n {
			if seen[i] != 1 || outs[i].live {
				return false
			}
		}
		return true
	})
}
