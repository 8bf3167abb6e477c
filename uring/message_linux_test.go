//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

// Names, control data and payloads that are longer than their room are cut,
// and the rest lies where it should.
func TestReceivedMessagesAreCut(t *testing.T) {
	for _, room := range []struct{ name, control, payload int }{{128, 64, 100}, {0, 64, 100}, {4, 0, 100}, {128, 20, 10}, {16, 0, 0}} {
		r := newTestRing(t, Setup{Entries: 4, Flags: testFlags})
		dir := t.TempDir()
		to, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(to)
		from, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(from)
		for fd, name := range map[int]string{to: "/to", from: "/from"} {
			if err := unix.Bind(fd, &unix.SockaddrUnix{Name: dir + name}); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.SetsockoptInt(to, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
			t.Fatal(err)
		}
		ring, err := r.NewBufferRing(7, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		memory := mapped(t, 4096)[:recvmsgOutSize+room.name+room.control+room.payload]
		ring.Add(memory, 0)
		ring.Publish()
		m := &Message{NameLen: uint32(room.name), ControlLen: uint64(room.control)}
		prep(t, r).PrepRecvMessageMultishot(to, m, 7, 0, 1)
		want := pattern(50)
		if err := unix.Sendto(from, want, 0, &unix.SockaddrUnix{Name: dir + "/to"}); err != nil {
			t.Fatal(err)
		}
		c := next(t, r)
		got, ok := ParseReceived(memory[:max(c.Res, 0)], room.name, room.control)
		if !ok {
			t.Fatalf("%+v: %d, flags %#x", room, c.Res, c.Flags)
		}
		full := append([]byte{unix.AF_UNIX, 0}, dir+"/from\x00"...)
		if !bytes.Equal(got.Name, full[:min(len(full), room.name)]) || !bytes.Equal(got.Payload, want[:min(50, room.payload)]) {
			t.Errorf("%+v: name %q, %d bytes", room, got.Name, len(got.Payload))
		}
		cutControl, cut := got.Flags&unix.MSG_CTRUNC != 0, got.Flags&unix.MSG_TRUNC != 0
		if cut != (room.payload < 50) || cutControl != (room.control < unix.CmsgSpace(unix.SizeofUcred)) {
			t.Errorf("%+v: flags %#x", room, got.Flags)
		}
		if len(got.Control) > room.control {
			t.Errorf("%+v: %d bytes of control data", room, len(got.Control))
		}
		if err := ring.Close(); err != nil {
			t.Error(err)
		}
	}
	for n := range recvmsgOutSize + 5 {
		if _, ok := ParseReceived(make([]byte, n), 3, 2); ok {
			t.Errorf("%d bytes are a message", n)
		}
	}
}

func TestRecvmsgOutIsTheKernels(t *testing.T) {
	var o recvmsgOut
	if unsafe.Sizeof(o) != 16 || unsafe.Offsetof(o.controlLen) != 4 || unsafe.Offsetof(o.payloadLen) != 8 ||
		unsafe.Offsetof(o.flags) != 12 {
		t.Error("struct io_uring_recvmsg_out has another layout")
	}
	var m Message
	var h unix.Msghdr
	if unsafe.Sizeof(m) != unsafe.Sizeof(h) || unsafe.Offsetof(m.Control) != unsafe.Offsetof(h.Control) ||
		unsafe.Offsetof(m.VectorsLen) != unsafe.Offsetof(h.Iovlen) {
		t.Error("Message and unix.Msghdr differ")
	}
}

// everyOtherKind starts one op, or some, of each kind that streams do not need.
func everyOtherKind(t *testing.T, b *Backend) {
	t.Helper()
	x, y := unixPair(t, b)
	in := unpack(b, y, 0)
	in.on = func() { sys.CloseFiles(in.msg.Files) }
	with := &proactor.Msg{Files: []int{0}}
	start(b, proactor.Op{Kind: proactor.OpSend, Handle: x, Buf: pattern(4 << 20), Msg: with})
	poll(b, x, proactor.Readable)
	poll(b, y, proactor.Writable)
	child, _ := spawn(t, b, "exit 0")
	start(b, proactor.Op{Kind: proactor.OpChild, Handle: child})
	for range 3 {
		to, at := packet(t, b, udpHere, nil)
		receive(b, to, true)
		for range 20 {
			start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: to, Addr: &at, Buf: pattern(100)})
		}
	}
	full, at := packet(t, b, proactor.UnixgramAddress(t.TempDir()+"/u"), nil)
	from, _ := packet(t, b, proactor.UnixgramAddress(""), nil)
	for range 300 {
		start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: from, Addr: &at, Buf: []byte("x"), Msg: with})
	}
	other, where := packet(t, b, proactor.UnixgramAddress(t.TempDir()+"/v"), nil)
	receive(b, other, true)
	for range 30 { // files under way when it ends
		start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: full, Addr: &where, Buf: []byte("x"), Msg: with})
	}
}
