//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
)

// segmentControl is what has the kernel cut a write into datagrams (udp(7), UDP_SEGMENT).
func segmentControl(size int) []byte {
	p := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&p[0]))
	h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(p[unix.CmsgLen(0):], uint16(size))
	return p
}

// Datagrams that were sent as one come back, through the proxy and from the echo, each
// whole, in order, and counted one by one.
func TestTrainsThroughProxyAndEcho(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		e := start("echo", "--listen", "udp://127.0.0.1:0", "--status", "127.0.0.1:0")
		p := start("proxy", "--listen", "udp://:0", "--to", e.line("listening on "), "--status", "127.0.0.1:0")
		_, number, _ := net.SplitHostPort(p.line("listening on udp://"))
		c := dialPackets(t, "127.0.0.1:"+number).(*net.UDPConn)
		if got := askPacket(t, c, "the first makes the flow"); !strings.HasPrefix(got, "the first") {
			t.Error(got)
		}
		const count, size = 30, 1200
		train, control := make([]byte, count*size-7), segmentControl(size)
		for i := range train {
			train[i] = byte(i/size) + 1
		}
		if _, _, err := c.WriteMsgUDP(train, control, nil); err != nil {
			t.Fatal(err)
		}
		one := make([]byte, 65536)
		for i := range count {
			c.SetReadDeadline(time.Now().Add(patience))
			n, err := c.Read(one)
			if cut := train[i*size : min((i+1)*size, len(train))]; err != nil || !bytes.Equal(one[:n], cut) {
				t.Fatalf("datagram %d: %d bytes of %d, %v", i, n, one[0], err)
			}
		}
		testenv.Eventually(t, patience, "all are counted", func() bool {
			v, u := status(t, e).Echo, status(t, p).Datagrams
			return v.Datagrams >= count+1 && v.Dropped == 0 &&
				u.Sent.Datagrams >= count+1 && u.Received.Datagrams >= count+1 && u.Dropped == 0
		})
	})
}
