//go:build linux

package datagram

import (
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"mobius/internal/invariant"
	"mobius/proactor"
	"mobius/test/backends"
)

// One write of a train is one send to the kernel, and as many datagrams on the
// wire as were asked for: package net's socket, which joins none, counts them.
func TestOneSendIsManySegments(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		s := &site{w, w.Loop()}
		peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		port := s.listen(s.v4(), &log{}, nil)
		before := s.l.Backend().Stats().Submitted
		const count, size = 40, 1000
		data := make([]byte, count*size)
		for i := range data {
			data[i] = byte(i / size)
		}
		if err := port.WriteMsg(data, address(t, "udp", peer.LocalAddr().String()), &proactor.Msg{SegmentSize: size}); err != nil {
			t.Fatal(err)
		}
		s.Until("the train is sent", func() bool { return port.Stats().Sent == 1 })
		if n := s.l.Backend().Stats().Submitted - before; n > 2 { // the send; and a poll, perhaps
			t.Errorf("one write took %d operations", n)
		}
		buf := make([]byte, 65536)
		for i := range count {
			_ = peer.SetReadDeadline(time.Now().Add(backends.Patience))
			n, _, err := peer.ReadFromUDP(buf)
			if err != nil || n != size || buf[0] != byte(i) {
				t.Fatalf("datagram %d has %d bytes, of the %dth segment: %v", i, n, buf[0], err)
			}
		}
	})
}

// A train that comes over the loopback interface is received by one completion.
func TestOneReceiveBringsManySegments(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		s := &site{w, w.Loop()}
		in := &trainLog{}
		port := s.listen(s.v4(), in, &Options{Socket: &proactor.SocketOptions{SegmentedReceive: proactor.On}})
		out := s.listen(s.v4(), &log{}, nil)
		const count, size = 20, 1000
		data := make([]byte, count*size)
		if err := out.WriteMsg(data, port.LocalAddr(), &proactor.Msg{SegmentSize: size}); err != nil {
			t.Fatal(err)
		}
		s.Until("all have arrived", func() bool { return len(in.events) == 1+count })
		if len(in.segments) == 0 || len(in.segments) > count/2 || in.segments[0] != size {
			t.Errorf("%d datagrams came in %d trains of %v", count, len(in.segments), in.segments)
		}
	})
}

// A shuttle sends back what comes as it comes, trains as trains.
type shuttle struct {
	log
	trains int
	echo   proactor.Msg
}

func (r *shuttle) DatagramInfo(data []byte, from proactor.Address, msg *proactor.Msg) {
	_ = r.port.WriteTo(data, from) // the peer counts
}

func (r *shuttle) TrainInfo(data []byte, from proactor.Address, msg *proactor.Msg) {
	r.trains++
	r.echo = proactor.Msg{SegmentSize: msg.SegmentSize, Info: msg.Info}
	_ = r.port.WriteMsg(data, from, &r.echo) // the peer counts
}

// A counter counts datagrams, and looks at each of their bytes.
type counter struct {
	log
	next byte
	n    int
	bad  int
	last int // bytes of the last one
}

func (r *counter) DatagramReceived(data []byte, _ proactor.Address) {
	for _, c := range data {
		if c != r.next {
			r.bad++
		}
	}
	r.next++
	r.n++
	r.last = len(data)
}

// What came together goes back together, in order, whole, and without a malloc
// for each.
func TestTrainsGoBackAsTrains(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		s := &site{w, w.Loop()}
		o := &Options{Socket: &proactor.SocketOptions{SegmentedReceive: proactor.On, RecvLocal: proactor.On}}
		echo, client := &shuttle{}, &counter{}
		server, port := s.listen(s.v4(), echo, o), s.listen(s.v4(), client, o)
		const count, size, rounds = 20, 1000, 200
		data := make([]byte, count*size-1)
		msg := &proactor.Msg{SegmentSize: size}
		round := func() {
			for i := range data {
				data[i] = client.next + byte(i/size)
			}
			want := client.n + count
			if err := port.WriteMsg(data, server.LocalAddr(), msg); err != nil {
				t.Fatal(err)
			}
			s.Until("all are back", func() bool { return client.n == want })
		}
		for range 20 {
			round()
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			round()
		}
		runtime.ReadMemStats(&after)
		if client.bad != 0 || client.last != size-1 {
			t.Errorf("%d bytes are wrong; the last datagram has %d", client.bad, client.last)
		}
		if echo.trains == 0 || echo.trains > client.n/2 {
			t.Errorf("%d datagrams came in %d trains", client.n, echo.trains)
		}
		if n := after.Mallocs - before.Mallocs; n > 2*rounds && !invariant.Enabled { // the test's own closures
			t.Errorf("%d mallocs in %d rounds", n, rounds)
		}
	})
}

// A train that is longer than the receiver's buffer brings its whole datagrams;
// the one that was cut is told apart.
func TestCutTrain(t *testing.T) {
	whole, plain := &cutLog{}, &log{}
	for _, p := range []Protocol{whole, plain} {
		port := &Port{p: p, state: started}
		port.informed, _ = p.(Informed)
		port.plainTrains, _ = p.(TrainReceiver)
		port.deliver([]byte("aaaabbbbcc"), proactor.Address{}, &proactor.Msg{SegmentSize: 4, Truncated: true})
	}
	if got := strings.Join(whole.got, " "); got != "aaaa bbbb cc-cut" {
		t.Errorf("an informed protocol got %q", got)
	}
	if got := strings.Join(plain.events, " "); got != `"aaaa" "bbbb"` {
		t.Errorf("another one got %q", got)
	}
}

type cutLog struct {
	log
	got []string
}

func (r *cutLog) DatagramInfo(data []byte, _ proactor.Address, msg *proactor.Msg) {
	text := string(data)
	if msg.Truncated {
		text += "-cut"
	}
	if msg.SegmentSize != 0 {
		text += "-train"
	}
	r.got = append(r.got, text)
}
