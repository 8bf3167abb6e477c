package sim

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/proactor"
)

var udp = must(proactor.ParseAddress("udp", "127.0.0.1:0"))

// receive collects the datagrams of a socket, each as text.
func receive(b *Backend, h proactor.Handle) (*probe, *[]string) {
	p := &probe{b: b, Op: proactor.Op{Kind: proactor.OpRecvFrom, Handle: h, Msg: &proactor.Msg{}}}
	p.Owner, p.Addr = p, &p.addr
	got := &[]string{}
	p.on = func() {
		if p.Err != nil {
			return
		}
		text := string(p.Buf)
		if p.Msg.Truncated {
			text += "…"
		}
		if p.Msg.SegmentSize > 0 {
			text += fmt.Sprintf("/%d", p.Msg.SegmentSize)
		}
		*got = append(*got, text+string(p.Msg.Control))
	}
	b.Submit(&p.Op)
	return p, got
}

func sendTo(b *Backend, h proactor.Handle, to proactor.Address, text string, m *proactor.Msg) *probe {
	return start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: h, Addr: &to, Buf: []byte(text), Msg: m})
}

func TestDatagrams(t *testing.T) {
	w := on(t, Options{Faults: NoFaults, DatagramSize: 10}, 2)
	from, src := must2(w.hosts[0].Packet(udp, nil))
	to, dst := must2(w.hosts[1].Packet(udp, nil))
	in, got := receive(w.hosts[1], to)
	var all []*probe
	for _, text := range []string{"one", "", "three", "much too long"} { // several in flight
		all = append(all, sendTo(w.hosts[0], from, dst, text, nil))
	}
	all = append(all, sendTo(w.hosts[0], from, dst, "abcdefgh", &proactor.Msg{SegmentSize: 3, Control: []byte("+c")}))
	w.pass(time.Second)
	for i, p := range all {
		if !p.done() || p.err != nil || p.n != len(p.Buf) {
			t.Fatalf("datagram %d: %d, %v", i, p.n, p.err)
		}
	}
	if text := strings.Join(*got, "|"); text != "one||three|much too l…|abc+c|def+c|gh+c" || in.addr != src {
		t.Fatalf("%q from %v, want from %v", text, in.addr, src)
	}
	w.hosts[1].Cancel(&in.Op)
	w.until(in.done)
	w.close(w.hosts[0], from)
	w.close(w.hosts[1], to)
	w.end()
}

func TestJoinedSegments(t *testing.T) {
	w := on(t, Options{Faults: NoFaults.Set(1, Join)}, 2)
	from, _ := must2(w.hosts[0].Packet(udp, nil))
	to, dst := must2(w.hosts[1].Packet(udp, &proactor.SocketOptions{SegmentedReceive: proactor.On}))
	_, got := receive(w.hosts[1], to)
	sendTo(w.hosts[0], from, dst, "abcdefgh", &proactor.Msg{SegmentSize: 3})
	w.pass(time.Second)
	if text := strings.Join(*got, "|"); text != "abcdefgh/3" {
		t.Fatalf("%q", text)
	}
}

func TestDatagramErrors(t *testing.T) {
	w := quiet(t, 1)
	b := w.hosts[0]
	h, _ := must2(b.Packet(udp, nil))
	g, path := must2(b.Packet(proactor.UnixgramAddress("/run/g"), nil))
	stream, _ := must2(b.Listen(loopback, nil))
	for _, c := range []struct {
		op   *probe
		want error
	}{
		{sendTo(b, h, udp.WithPort(9), strings.Repeat("x", 65508), nil), syscall.EMSGSIZE},
		{sendTo(b, h, udp.WithPort(9), strings.Repeat("x", 70000), &proactor.Msg{SegmentSize: 65508}), syscall.EMSGSIZE},
		{sendTo(b, h, udp.WithPort(9), strings.Repeat("x", 65), &proactor.Msg{SegmentSize: 1}), nil}, // each by itself
		{sendTo(b, h, udp.WithPort(9), "nobody hears this", nil), nil},
		{sendTo(b, h, path, "x", nil), syscall.EAFNOSUPPORT},
		{sendTo(b, g, proactor.UnixgramAddress("/run/none"), "x", nil), syscall.ENOENT},
		{sendTo(b, stream, udp, "x", nil), syscall.ENOTSOCK},
		{start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: h}), syscall.EDESTADDRREQ},
		{start(b, proactor.Op{Kind: proactor.OpRecvFrom, Handle: stream}), syscall.ENOTSOCK},
	} {
		w.until(c.op.done)
		if c.op.err != c.want {
			t.Errorf("%v of %d bytes to %v: %v, want %v", c.op.Kind, len(c.op.Buf), c.op.Addr, c.op.err, c.want)
		}
	}
	// The answer that nobody is there reaches only a connected socket.
	to := udp.WithPort(9)
	w.until(start(b, proactor.Op{Kind: proactor.OpConnect, Handle: h, Addr: &to}).done)
	w.until(start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: h, Buf: []byte("x")}).done)
	again := start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: h, Buf: []byte("x")})
	w.until(again.done)
	if again.err != syscall.ECONNREFUSED {
		t.Errorf("connected: %v", again.err)
	}
}

// A full mailbox loses datagrams over IP; on a unix socket the sender waits.
func TestFullMailbox(t *testing.T) {
	w := on(t, Options{Faults: NoFaults, DatagramBuffer: 3}, 1)
	b := w.hosts[0]
	for _, at := range []proactor.Address{udp, proactor.UnixgramAddress("/run/g")} {
		from, _ := must2(b.Packet(at.WithPort(0), nil))
		if at.IsUnix() {
			w.close(b, from)
			from, _ = must2(b.Packet(proactor.UnixgramAddress(""), nil))
		}
		to, dst := must2(b.Packet(at, nil))
		var all []*probe
		for i := range 5 {
			p := sendTo(b, from, dst, fmt.Sprint(i), nil)
			w.pass(time.Millisecond)
			all = append(all, p)
		}
		waits := !all[3].done() && !all[4].done()
		in, got := receive(b, to)
		w.pass(time.Second)
		want := "012"
		if at.IsUnix() {
			want = "01234"
		}
		if text := strings.Join(*got, ""); waits != at.IsUnix() || text != want {
			t.Errorf("%v: %q, the sender waits: %v", at, text, waits)
		}
		b.Cancel(&in.Op)
		w.until(in.done)
		w.close(b, from)
		w.close(b, to)
	}
	w.end()
}

func TestDatagramFaults(t *testing.T) {
	for _, fault := range []Fault{Drop, Duplicate, Reorder} {
		w := on(t, Options{Seed: 3, Faults: NoFaults.Set(0.3, fault)}, 2)
		from, _ := must2(w.hosts[0].Packet(udp, nil))
		to, dst := must2(w.hosts[1].Packet(udp, nil))
		_, got := receive(w.hosts[1], to)
		for i := range 100 {
			w.until(sendTo(w.hosts[0], from, dst, fmt.Sprint(i), nil).done)
		}
		w.pass(time.Second)
		seen, disorder, last := map[string]int{}, 0, -1
		for _, text := range *got {
			seen[text]++
			var i int
			fmt.Sscan(text, &i)
			if i < last {
				disorder++
			}
			last = i
		}
		lost, fired := 100-len(seen), int(w.net.Fired(fault))
		twice := len(*got) - len(seen)
		ok := map[Fault]bool{Drop: lost == fired && twice == 0, Duplicate: twice == fired && lost == 0, Reorder: disorder > 5}
		if !ok[fault] || fired < 10 {
			t.Errorf("%v fired %d times: %d lost, %d twice, %d out of order", fault, fired, lost, twice, disorder)
		}
	}
}
