//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// unixPair returns the two ends of a unix stream, both b's.
func unixPair(t *testing.T, b *Backend) (x, y proactor.Handle) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if x, err = b.Adopt(fds[0]); err == nil {
		y, err = b.Adopt(fds[1])
	}
	if err != nil {
		t.Fatal(err)
	}
	return x, y
}

// A parcel receives from a unix stream with a Msg, and keeps copies.
type parcel struct {
	*single
	msg   proactor.Msg
	bytes []byte
	files []int
	at    []int // how many bytes had come before each file
}

func unpack(b *Backend, h proactor.Handle, limit int) *parcel {
	p := &parcel{}
	p.single = &single{op: proactor.Op{Kind: proactor.OpRecv, Handle: h, Msg: &p.msg, Limit: limit}}
	p.op.Owner = p.single
	p.on = func() {
		for _, fd := range p.msg.Files {
			p.files, p.at = append(p.files, fd), append(p.at, len(p.bytes))
		}
		p.msg.Files = nil
		p.bytes = append(p.bytes, p.last.Buf...)
	}
	b.Submit(&p.op)
	return p
}

// Files travel with the first byte of a Send, however many pieces that takes;
// the sender may close its own as soon as the op is submitted.
func TestFilesOnUnixStreams(t *testing.T) {
	for _, c := range configs {
		t.Run(c.name, func(t *testing.T) {
			testenv.Leaks(t)
			b := openTest(t, c.o)
			x, y := unixPair(t, b)
			in := unpack(b, y, 0)
			sent := 0
			for i, bufs := range [][][]byte{{[]byte("one")}, {nil, nil, pattern(300_000), pattern(70)}, {[]byte("t"), pattern(1 << 20)}} {
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				s := start(b, proactor.Op{Kind: proactor.OpSend, Handle: x, Buf: bufs[0], Bufs: bufs[1:],
					Msg: &proactor.Msg{Files: []int{int(w.Fd())}}})
				_ = w.Close()
				op := s.wait(t, b)
				size := 0
				for _, p := range bufs {
					size += len(p)
				}
				if op.Err != nil || op.N != size {
					t.Fatalf("%d of %d bytes, %v", op.N, size, op.Err)
				}
				until(t, b, "it arrives", func() bool { return len(in.bytes) == sent+size && len(in.files) == i+1 })
				if !bytes.Equal(in.bytes[sent:], bytes.Join(bufs, nil)) || in.at[i] != sent {
					t.Errorf("the bytes are changed, or the file is not with byte %d but %d", sent, in.at[i])
				}
				sent += size
				flags, err := unix.FcntlInt(uintptr(in.files[i]), unix.F_GETFD, 0)
				if err != nil || flags&unix.FD_CLOEXEC == 0 {
					t.Errorf("flags %#x, %v; want CLOEXEC", flags, err)
				}
				_ = unix.Close(in.files[i])
				if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("somebody still has the other end: %d, %v", n, err)
				}
				_ = r.Close()
			}
			if err := b.Shutdown(x); err != nil {
				t.Fatal(err)
			}
			if op := in.wait(t, b); op.Err != io.EOF {
				t.Errorf("ends with %v", op.Err)
			}
		})
	}
}

// Files that nobody asks for, or that come after the end, are closed.
func TestFilesThatNobodyGets(t *testing.T) {
	for _, c := range configs[:4] {
		t.Run(c.name, func(t *testing.T) {
			testenv.Leaks(t)
			b := openTest(t, c.o)
			x, y := unixPair(t, b)
			with := &proactor.Msg{Files: []int{0, 0, 0}}
			if op := start(b, proactor.Op{Kind: proactor.OpSend, Handle: x, Buf: []byte("x"), Msg: with}).wait(t, b); op.Err != nil {
				t.Fatal(op.Err)
			}
			if op := start(b, proactor.Op{Kind: proactor.OpRecv, Handle: y, Limit: 1}).wait(t, b); op.Err != nil || op.N != 1 {
				t.Fatal(op.N, op.Err)
			}
			for _, bad := range []struct {
				msg  proactor.Msg
				buf  []byte
				want error
			}{
				{proactor.Msg{Files: []int{0}}, nil, unix.EINVAL},
				{proactor.Msg{Files: []int{1 << 20}}, []byte("x"), unix.EBADF},
			} {
				s := start(b, proactor.Op{Kind: proactor.OpSend, Handle: x, Buf: bad.buf, Msg: &bad.msg})
				if op := s.wait(t, b); op.Err != bad.want {
					t.Errorf("%v, want %v", op.Err, bad.want)
				}
			}
			big := pattern(8 << 20)
			filled := start(b, proactor.Op{Kind: proactor.OpSend, Handle: x, Buf: big})
			pass(t, b, 10*time.Millisecond)
			b.Cancel(&filled.op)
			filled.wait(t, b)
			waits := start(b, proactor.Op{Kind: proactor.OpSend, Handle: x, Buf: []byte("x"), Msg: with})
			pass(t, b, 10*time.Millisecond)
			if !waits.idle() {
				b.Cancel(&waits.op)
			}
			if op := waits.wait(t, b); op.Err != proactor.ErrCanceled || op.N != 0 {
				t.Errorf("%d, %v", op.N, op.Err)
			}
			start(b, proactor.Op{Kind: proactor.OpSend, Handle: x, Buf: []byte("x"), Msg: with}) // left to Close
			pass(t, b, time.Millisecond)
		})
	}
}

// What only a unix stream can carry is refused elsewhere, not left behind.
func TestFilesOnOtherThings(t *testing.T) {
	b := openTest(t, Options{})
	h, _ := halfClosed(t, b)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	pipe := adopt(t, b, w)
	for _, m := range []proactor.Msg{{Files: []int{0}}, {Info: proactor.Info{Has: proactor.HasTTL, TTL: 1}}} {
		for _, to := range []proactor.Handle{h, pipe} {
			s := start(b, proactor.Op{Kind: proactor.OpSend, Handle: to, Buf: []byte("x"), Msg: &m})
			if op := s.wait(t, b); op.Err != unix.EOPNOTSUPP || op.N != 0 {
				t.Errorf("%+v: %d, %v", m, op.N, op.Err)
			}
		}
	}
	for _, to := range []proactor.Handle{h, pipe} { // with nothing inside it is as none
		s := start(b, proactor.Op{Kind: proactor.OpSend, Handle: to, Buf: []byte("x"), Msg: &proactor.Msg{}})
		if op := s.wait(t, b); op.Err != nil || op.N != 1 {
			t.Errorf("%d, %v", op.N, op.Err)
		}
	}
	for kind, want := range map[proactor.Kind]error{
		proactor.OpRecvFrom: unix.ENOTSOCK, proactor.OpSendTo: unix.ENOTSOCK, proactor.OpChild: unix.ECHILD,
		proactor.OpAccept: proactor.ErrUnsupported,
	} {
		if op := start(b, proactor.Op{Kind: kind, Handle: pipe}).wait(t, b); op.Err != want {
			t.Errorf("%v: %v, want %v", kind, op.Err, want)
		}
	}
}

// A Limit is kept with a Msg too, and what is behind it comes with the next Recv.
func TestLimitWithAMsg(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		x, y := unixPair(t, b)
		if op := start(b, proactor.Op{Kind: proactor.OpSend, Handle: x, Buf: pattern(1000)}).wait(t, b); op.Err != nil {
			t.Fatal(op.Err)
		}
		var got []byte
		for range 10 {
			p := unpack(b, y, 100)
			if op := p.wait(t, b); op.Err != nil || len(p.bytes) != 100 {
				t.Fatalf("%d bytes, %v", len(p.bytes), op.Err)
			}
			got = append(got, p.bytes...)
		}
		if !bytes.Equal(got, pattern(1000)) {
			t.Error("the bytes are changed")
		}
		p := unpack(b, y, 100)
		pass(t, b, time.Millisecond)
		b.Cancel(&p.op)
		if op := p.wait(t, b); op.Err != proactor.ErrCanceled {
			t.Error(op.Err)
		}
	})
}

// What a stream says beside its bytes: credentials, when they are asked for.
func TestCredentialsWithBytes(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		x, y := unixPair(t, b)
		if err := b.SetOptions(y, &proactor.SocketOptions{RecvCredentials: proactor.On}); err != nil {
			t.Fatal(err)
		}
		var info proactor.Info
		p := unpack(b, y, 1)
		p.on = func() { info = p.msg.Info }
		start(b, proactor.Op{Kind: proactor.OpSend, Handle: x, Buf: []byte("x")}).wait(t, b)
		p.wait(t, b)
		want := proactor.Credentials{PID: os.Getpid(), UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
		if info.Has&proactor.HasCredentials == 0 || info.Credentials != want {
			t.Errorf("%+v, want %+v", info, want)
		}
	})
}
