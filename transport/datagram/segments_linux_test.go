//go:build linux

package datagram

import (
	"net"
	"testing"
	"time"

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
