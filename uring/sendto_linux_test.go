//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/internal/testenv"
	"mobius/proactor"
)

// Many datagrams of one turn leave with one system call, and what they bring
// comes with few.
func TestManyDatagramsTakeFewEnters(t *testing.T) {
	b := openTest(t, Options{})
	to, at := packet(t, b, udpHere, nil)
	from, _ := packet(t, b, udpHere, nil)
	in := receive(b, to, false)
	pass(t, b, time.Millisecond)
	for round := range 10 {
		before := b.Stats().Enters
		var out [100]*single
		for i := range out {
			out[i] = start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: from, Addr: &at, Buf: []byte{byte(i)}})
		}
		if err := b.Poll(time.Second); err != nil {
			t.Fatal(err)
		}
		for i := range out {
			if op := out[i].last; out[i].n != 1 || op.Err != nil || op.N != 1 {
				t.Fatalf("datagram %d: %d completions, %d, %v", i, out[i].n, op.N, op.Err)
			}
		}
		until(t, b, "they arrive", func() bool { return in.count == 100*(round+1) })
		if n := b.Stats().Enters - before; n > 20 {
			t.Errorf("%d enters for 100 datagrams there and back", n)
		}
	}
	for i, p := range in.got {
		if p[0] != byte(i%100) {
			t.Fatalf("datagram %d arrives as number %d", p[0], i)
		}
	}
}

// A pong answers each datagram from the buffer that it is in.
type pong struct {
	b         *Backend
	recv      proactor.Op
	from      proactor.Address
	sends     [64]answer
	n, failed int
}

type answer struct {
	p    *pong
	op   proactor.Op
	to   proactor.Address
	hold *proactor.Hold
}

func (p *pong) Complete(op *proactor.Op) {
	if !op.More {
		return
	}
	p.n++
	for i := range p.sends {
		a := &p.sends[i]
		if a.op.Active() {
			continue
		}
		a.p, a.to, a.hold = p, p.from, p.b.Hold(op, a)
		a.op.Kind, a.op.Handle, a.op.Owner = proactor.OpSendTo, op.Handle, a
		a.op.Addr, a.op.Buf = &a.to, a.hold.Bytes
		p.b.Submit(&a.op)
		return
	}
	p.failed++
}

func (a *answer) Complete(op *proactor.Op) {
	a.hold.Release()
	if op.Err != nil {
		a.p.failed++
	}
}

func (a *answer) Evict(*proactor.Hold) {} // it is on its way

// 1e5 datagrams received, held, answered and released, without an allocation.
func TestSteadyDatagramsAllocateNothing(t *testing.T) {
	if invariant.Enabled {
		t.Skip("lent bytes are heap copies when invariants are compiled in")
	}
	for _, c := range configs[:2] {
		for _, local := range []proactor.Address{udpHere, udpHere6} {
			t.Run(c.name+"-"+local.String(), func(t *testing.T) {
				b := openTest(t, c.o)
				h, at := packet(t, b, local, nil)
				p := &pong{b: b}
				p.recv = proactor.Op{Kind: proactor.OpRecvFrom, Handle: h, Owner: p, Addr: &p.from}
				b.Submit(&p.recv)
				fd := rawUDP(t, at)
				mallocsDuring(t, b, fd, 1000)
				n := 100_000
				if testing.Short() {
					n = 10_000
				}
				if got := mallocsDuring(t, b, fd, n); got > 10 || p.failed != 0 {
					t.Errorf("%d allocations in %d datagrams, %d failed", got, n, p.failed)
				}
				b.Cancel(&p.recv)
				until(t, b, "it ends", func() bool { return !p.recv.Active() })
			})
		}
	}
}

// rawUDP returns a blocking socket that is connected to at, for clients that
// shall not allocate.
func rawUDP(t testing.TB, at proactor.Address) int {
	t.Helper()
	family, to := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(at.Port())})
	if at.IP().Is6() {
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.IP().As16()}
	} else {
		to.(*unix.SockaddrInet4).Addr = at.IP().As4()
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	return fd
}

// One SendTo is cut into many datagrams by the kernel, and one completion
// brings them together again.
func TestSegments(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		to, at := packet(t, b, udpHere, &proactor.SocketOptions{SegmentedReceive: proactor.On})
		single, plain := packet(t, b, udpHere, nil)
		from, _ := packet(t, b, udpHere, nil)
		p := pattern(40*1000 + 10)
		in, each := receive(b, to, true), receive(b, single, true)
		pass(t, b, time.Millisecond)
		sendTo(t, b, from, &at, p, &proactor.Msg{SegmentSize: 1000})
		var got []byte
		until(t, b, "the segments arrive", func() bool {
			got = got[:0]
			for _, x := range in.got {
				got = append(got, x...)
			}
			return len(got) == len(p)
		})
		if !bytes.Equal(got, p) || in.count > 20 || in.msgs[0].SegmentSize != 1000 {
			t.Errorf("%d completions, segment size %d", in.count, in.msgs[0].SegmentSize)
		}
		sendTo(t, b, from, &plain, p[:5500], &proactor.Msg{SegmentSize: 1000})
		until(t, b, "the segments arrive", func() bool { return each.count == 6 })
		if len(each.got[0]) != 1000 || len(each.got[5]) != 500 || each.msgs[0].SegmentSize != 0 {
			t.Errorf("segments of %d and %d bytes, size %d", len(each.got[0]), len(each.got[5]), each.msgs[0].SegmentSize)
		}
	})
}

// A connected socket needs no address, and is told that nobody is there.
func TestConnectedDatagrams(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		to, at := packet(t, b, udpHere, nil)
		from, me := packet(t, b, udpHere, nil)
		in, back := receive(b, to, false), receive(b, from, false)
		if op := start(b, proactor.Op{Kind: proactor.OpConnect, Handle: from, Addr: &at}).wait(t, b); op.Err != nil {
			t.Fatal(op.Err)
		}
		for i := range 3 {
			sendTo(t, b, from, nil, pattern(10*i), nil)
			sendTo(t, b, to, &me, pattern(10*i), nil)
			until(t, b, "both arrive", func() bool { return in.count == i+1 && back.count == i+1 })
		}
		b.Cancel(&in.op)
		until(t, b, "it ends", func() bool { return in.err != nil })
		if err := b.CloseFD(to); err != nil {
			t.Fatal(err)
		}
		sendTo(t, b, from, nil, []byte("nobody"), nil)
		until(t, b, "the answer of the network arrives", func() bool { return back.err != nil })
		if back.err != unix.ECONNREFUSED {
			t.Error(back.err)
		}
		for _, bad := range []struct {
			to   *proactor.Address
			size int
			want error
		}{
			{&localhost, 1, unix.EAFNOSUPPORT}, {&udpHere6, 1, unix.EAFNOSUPPORT}, {nil, 70_000, unix.EMSGSIZE},
		} {
			op := start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: from, Addr: bad.to, Buf: pattern(bad.size)}).wait(t, b)
			if op.Err != bad.want || op.N != 0 {
				t.Errorf("%d bytes to %v: %d, %v; want %v", bad.size, bad.to, op.N, op.Err, bad.want)
			}
		}
	})
}

// A unix receiver whose queue is full is waited for, without spinning and
// without a thread of the kernel's.
func TestFullUnixReceiverIsWaitedFor(t *testing.T) {
	testenv.Eventually(t, 10*time.Second, "workers of tests before are gone", func() bool { return workerThreads() == 0 })
	onConfigs(t, func(t *testing.T, b *Backend) {
		for _, connected := range []bool{false, true} {
			to, at := packet(t, b, proactor.UnixgramAddress(t.TempDir()+"/to"), nil)
			from, _ := packet(t, b, proactor.UnixgramAddress(""), nil)
			addr := &at
			if connected {
				addr = nil
				if op := start(b, proactor.Op{Kind: proactor.OpConnect, Handle: from, Addr: &at}).wait(t, b); op.Err != nil {
					t.Fatal(op.Err)
				}
			}
			var out []*single
			for i := range 600 {
				out = append(out, start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: from, Addr: addr, Buf: []byte{byte(i)}}))
			}
			waiting := func() (n int) {
				for _, s := range out {
					if !s.idle() {
						n++
					}
				}
				return n
			}
			pass(t, b, 20*time.Millisecond)
			before, stuck := b.Stats().Enters, waiting()
			pass(t, b, 100*time.Millisecond)
			if n := b.Stats().Enters - before; n > 10 || waiting() == 0 || stuck != waiting() {
				t.Errorf("connected %v: %d enters, %d of %d wait", connected, n, waiting(), stuck)
			}
			if n := workerThreads(); n != 0 {
				t.Errorf("%d worker threads", n)
			}
			canceled := 0
			for _, s := range out[len(out)-50:] {
				b.Cancel(&s.op)
			}
			in := receive(b, to, true)
			until(t, b, "all are sent", func() bool { return waiting() == 0 })
			for _, s := range out {
				if s.last.Err == proactor.ErrCanceled {
					canceled++
				} else if s.last.Err != nil || s.last.N != 1 {
					t.Errorf("%d, %v", s.last.N, s.last.Err)
				}
			}
			until(t, b, "all arrive", func() bool { return in.count == len(out)-canceled })
			if canceled == 0 {
				t.Error("none was cancelled")
			}
		}
	})
}

// When the receiver goes, those that wait for it are told.
func TestUnixReceiverThatGoes(t *testing.T) {
	b := openTest(t, Options{})
	path := t.TempDir() + "/to"
	to, at := packet(t, b, proactor.UnixgramAddress(path), nil)
	from, _ := packet(t, b, proactor.UnixgramAddress(""), nil)
	var out []*single
	for range 600 {
		out = append(out, start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: from, Addr: &at, Buf: []byte("x")}))
	}
	pass(t, b, 10*time.Millisecond)
	if err := b.CloseFD(to); err != nil {
		t.Fatal(err)
	}
	last := out[len(out)-1].wait(t, b)
	if last.Err != unix.ENOENT && last.Err != unix.ECONNREFUSED {
		t.Errorf("%v", last.Err)
	}
	for _, s := range out {
		s.wait(t, b)
	}
}

// Files travel with datagrams: copies, so that the sender may close its own at
// once; those of a datagram that is never sent or never delivered are closed.
func TestFilesWithDatagrams(t *testing.T) {
	for _, c := range configs {
		t.Run(c.name, func(t *testing.T) {
			testenv.Leaks(t)
			b := openTest(t, c.o)
			to, at := packet(t, b, proactor.UnixgramAddress(t.TempDir()+"/to"), nil)
			from, _ := packet(t, b, proactor.UnixgramAddress(""), nil)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			send := start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: from, Addr: &at, Buf: []byte("x"),
				Msg: &proactor.Msg{Files: []int{int(w.Fd()), int(w.Fd())}}})
			_ = w.Close()
			if op := send.wait(t, b); op.Err != nil {
				t.Fatal(op.Err)
			}
			var files []int
			var msg proactor.Msg
			in := start(b, proactor.Op{Kind: proactor.OpRecvFrom, Handle: to, Msg: &msg})
			in.on = func() { files = append(files, msg.Files...); msg.Files = nil }
			until(t, b, "they arrive", func() bool { return len(files) == 2 })
			for _, fd := range files {
				flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
				if err != nil || flags&unix.FD_CLOEXEC == 0 {
					t.Errorf("flags %#x, %v; want CLOEXEC", flags, err)
				}
				_ = unix.Close(fd)
			}
			if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("somebody still has the other end: %d, %v", n, err)
			}
			b.Cancel(&in.op)
			in.wait(t, b)
			bad := start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: from, Addr: &at, Msg: &proactor.Msg{Files: []int{1 << 20}}})
			if op := bad.wait(t, b); op.Err != unix.EBADF {
				t.Errorf("a file that is none: %v", op.Err)
			}
			fill := make([]*single, 600) // most are never sent: their files must not be left
			for i := range fill {
				fill[i] = start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: from, Addr: &at, Msg: &proactor.Msg{Files: []int{0}}})
				if i%100 == 0 {
					pass(t, b, time.Millisecond)
				}
			}
			last := receive(b, to, false) // without room for files
			until(t, b, "some arrive", func() bool { return last.count > 5 })
			runtime.KeepAlive(fill)
		})
	}
}
