//go:build linux

package epoll

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// An echo sends back what it receives, one piece at a time, from the lent
// bytes.
type echo struct {
	b          proactor.Backend
	recv, send proactor.Op
	hold       *proactor.Hold
	next       []*proactor.Hold // came although reading was paused
	err        error
}

func (e *echo) start(b proactor.Backend, h proactor.Handle) {
	e.b = b
	e.recv = proactor.Op{Kind: proactor.OpRecv, Handle: h, Owner: e}
	e.send = proactor.Op{Kind: proactor.OpSend, Handle: h, Owner: e}
	b.Submit(&e.recv)
}

func (e *echo) Complete(op *proactor.Op) {
	switch {
	case op == &e.send:
		e.hold.Release()
		e.hold = nil
		if e.err = op.Err; e.err != nil {
			return
		}
		if len(e.next) > 0 {
			h := e.next[0]
			e.next = e.next[:copy(e.next, e.next[1:])]
			e.reply(h)
			return
		}
		e.b.Resume(&e.recv)
	case op.Err == proactor.ErrCanceled:
	case op.Err != nil:
		e.err = op.Err
	default:
		h := e.b.Hold(op, e)
		if e.hold != nil {
			e.next = append(e.next, h)
			return
		}
		e.reply(h)
		e.b.Cancel(op)
	}
}

func (e *echo) reply(h *proactor.Hold) {
	e.hold = h
	e.send.Buf = h.Bytes
	e.b.Submit(&e.send)
}

// Evict does nothing: every hold here is on its way out.
func (e *echo) Evict(*proactor.Hold) {}

// A server accepts and echoes.
type server struct {
	b      proactor.Backend
	accept proactor.Op
	peer   proactor.Address
	errs   []error
	conns  []*echo
}

func (s *server) Complete(op *proactor.Op) {
	if op.Err != nil {
		s.errs = append(s.errs, op.Err)
		return
	}
	e := &echo{}
	e.start(s.b, op.New)
	s.conns = append(s.conns, e)
}

// opened returns a backend that is closed at the end, on a locked thread.
func opened(t *testing.T, o Options) proactor.Backend {
	t.Helper()
	testenv.Leaks(t)
	runtime.LockOSThread()
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
	return b
}

// serve has a server listen on a free port.
func serve(t *testing.T, b proactor.Backend, o *proactor.SocketOptions) (*server, proactor.Address) {
	t.Helper()
	address, err := proactor.ParseAddress("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, bound, err := b.Listen(address, o)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{b: b}
	s.accept = proactor.Op{Kind: proactor.OpAccept, Handle: l, Owner: s, Addr: &s.peer}
	b.Submit(&s.accept)
	return s, bound
}

// pollUntil polls until cond holds.
func pollUntil(t *testing.T, b proactor.Backend, what string, cond func() bool) {
	t.Helper()
	for end := b.Now() + testenv.Patience(); !cond(); {
		if b.Now() > end {
			t.Fatalf("not in %v: %s; %+v", testenv.Patience(), what, b.Stats())
		}
		if err := b.Poll(10 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// talk sends size bytes in random pieces and checks that they come back.
func talk(bound proactor.Address, seed uint64, size int) error {
	c, err := net.Dial("tcp", bound.String())
	if err != nil {
		return err
	}
	defer c.Close()
	r := rand.New(rand.NewPCG(seed, 1))
	out, in := make([]byte, size), make([]byte, size)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	go func() {
		for rest := out; len(rest) > 0; {
			n := min(1+r.IntN(9000), len(rest))
			if _, err := c.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
	}()
	if _, err := io.ReadFull(c, in); err != nil {
		return err
	}
	if !bytes.Equal(in, out) {
		return errors.New("what came back is not what was sent")
	}
	return nil
}

func TestEchoIsExactUnderAllLimits(t *testing.T) {
	for name, o := range map[string]Options{
		"as shipped":   {},
		"one event":    {Events: 1},
		"tiny buffers": {Buffers: 2, ReadBuffer: 100, Holds: 3},
		"tiny writes":  {WriteBudget: 1},
		"everything":   {Events: 1, Buffers: 1, ReadBuffer: 64, Holds: 1, WriteBudget: 7},
	} {
		t.Run(name, func(t *testing.T) {
			b := opened(t, o)
			s, bound := serve(t, b, &proactor.SocketOptions{SendBuffer: 4096, RecvBuffer: 4096})
			const clients = 8
			results := make(chan error, clients)
			for i := range uint64(clients) {
				go func() { results <- talk(bound, i, 50_000) }()
			}
			pollUntil(t, b, "all echoes are back", func() bool { return len(results) == clients })
			for range clients {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
			if len(s.conns) != clients || len(s.errs) != 0 {
				t.Errorf("%d connections, errors %v", len(s.conns), s.errs)
			}
		})
	}
}

func TestStopAndListenAgainTwentyTimes(t *testing.T) {
	b := opened(t, Options{})
	s, bound := serve(t, b, nil)
	for round := range 20 {
		result := make(chan error, 1)
		go func() { result <- talk(bound, uint64(round), 1000) }()
		pollUntil(t, b, "the echo is back", func() bool { return len(result) > 0 })
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		if err := b.CloseFD(s.accept.Handle); err != proactor.ErrBusy {
			t.Fatalf("CloseFD of a listener in use: %v", err)
		}
		b.Cancel(&s.accept)
		pollUntil(t, b, "the accept ends", func() bool { return !s.accept.Active() })
		if err := b.CloseFD(s.accept.Handle); err != nil {
			t.Fatal(err)
		}
		var err error
		if s.accept.Handle, _, err = b.Listen(bound, nil); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		b.Submit(&s.accept)
	}
}

// Numbers are given out again and again while events of their predecessors may
// still be around.
func TestNumbersAreReused(t *testing.T) {
	b := opened(t, Options{Events: 4})
	s, bound := serve(t, b, nil)
	done := make(chan error, 1)
	go func() {
		for i := range uint64(300) {
			if err := talk(bound, i, 100); err != nil {
				done <- fmt.Errorf("connection %d: %w", i, err)
				return
			}
		}
		done <- nil
	}()
	closed := 0
	pollUntil(t, b, "300 connections one after the other", func() bool {
		for i := len(s.conns) - 1; i >= 0; i-- {
			if e := s.conns[i]; e.err != nil && !e.recv.Active() && !e.send.Active() {
				if err := b.CloseFD(e.recv.Handle); err != nil {
					t.Error(err)
				}
				s.conns[i] = s.conns[len(s.conns)-1]
				s.conns = s.conns[:len(s.conns)-1]
				closed++
			}
		}
		return len(done) > 0
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
	if closed < 250 {
		t.Errorf("only %d were closed", closed)
	}
}

// What stands behind urgent data makes no event of its own.
func TestUrgentDataHidesNothing(t *testing.T) {
	b := opened(t, Options{})
	s, bound := serve(t, b, nil)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	to := &unix.SockaddrInet4{Port: int(bound.Port()), Addr: [4]byte{127, 0, 0, 1}}
	if err := testenv.Again(func() error { return unix.Connect(fd, to) }); err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		text  string
		flags int
	}{{"before", 0}, {"!", unix.MSG_OOB}, {"behind", 0}} {
		if err := testenv.Again(func() error { return unix.Sendto(fd, []byte(part.text), part.flags, nil) }); err != nil {
			t.Fatal(err)
		}
	}
	var got []byte
	pollUntil(t, b, "what is around the urgent byte", func() bool {
		buf := make([]byte, 100)
		if n, _, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT); err == nil {
			got = append(got, buf[:n]...)
		}
		return len(got) >= len("beforebehind")
	})
	if string(got) != "beforebehind" {
		t.Errorf("echo of %q", got)
	}
	_ = s
}

func TestCoarseTimeouts(t *testing.T) {
	for timeout, want := range map[time.Duration]uintptr{
		-1: ^uintptr(0), 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, 1<<63 - 1: 1<<31 - 1,
	} {
		if got := milliseconds(timeout); got != want {
			t.Errorf("%v is %d ms, want %d", timeout, int(got), int(want))
		}
	}
	s, err := newSelector()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.coarse = true
	start := time.Now()
	if n, e := s.wait(make([]unix.EpollEvent, 1), 1500*time.Microsecond); n != 0 || e != 0 || time.Since(start) < 1500*time.Microsecond {
		t.Errorf("%d events, %v, after %v", n, e, time.Since(start))
	}
	s.Wake()
	if n, e := s.wait(make([]unix.EpollEvent, 1), time.Hour); n != 1 || e != 0 {
		t.Errorf("%d events, %v", n, e)
	}
	if n, e := s.wait(make([]unix.EpollEvent, 1), time.Microsecond); n != 0 || e != 0 {
		t.Errorf("a wake-up came twice: %d events, %v", n, e)
	}
}

// A result is an op that writes its result down.
type result struct {
	proactor.Op
	got  []byte
	last bool
}

func (r *result) Complete(op *proactor.Op) {
	r.got = append(r.got, op.Buf...)
	r.last = !op.More
}

// The kernel answers EAGAIN to a connect to a full unix listener, and never
// tells when there is room.
func TestConnectWaitsForRoomInAUnixListener(t *testing.T) {
	b := opened(t, Options{})
	address := proactor.UnixAddress(filepath.Join(t.TempDir(), "s"))
	l, _, err := b.Listen(address, &proactor.SocketOptions{Backlog: 1})
	if err != nil {
		t.Fatal(err)
	}
	var all []*result
	connected := func() (n int) {
		for _, r := range all {
			if r.last && r.Err == nil {
				n++
			} else if r.last {
				t.Fatalf("connect: %v", r.Err)
			}
		}
		return n
	}
	for range 6 {
		h, err := b.Stream(address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := &result{Op: proactor.Op{Kind: proactor.OpConnect, Handle: h, Addr: &address}}
		r.Owner = r
		all = append(all, r)
		b.Submit(&r.Op)
	}
	pollUntil(t, b, "one is connected", func() bool { return connected() > 0 })
	for range 3 {
		_ = b.Poll(10 * time.Millisecond)
	}
	if n := connected(); n == len(all) {
		t.Fatalf("%d of %d are connected to a queue of one", n, len(all))
	}
	if enters := b.Stats().Enters; enters > 40 {
		t.Errorf("%d system calls: it spins", enters)
	}
	accept := &result{Op: proactor.Op{Kind: proactor.OpAccept, Handle: l}}
	accept.Owner = accept
	b.Submit(&accept.Op)
	pollUntil(t, b, "all are connected once there is room", func() bool { return connected() == len(all) })
}

func TestFilesAndPipesAreRead(t *testing.T) {
	b := opened(t, Options{})
	path := filepath.Join(t.TempDir(), "file")
	want := bytes.Repeat([]byte("text "), 200_000)
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	h, err := b.Adopt(fd)
	if err != nil {
		t.Fatal(err)
	}
	r := &result{Op: proactor.Op{Kind: proactor.OpRecv, Handle: h}}
	r.Owner = r
	b.Submit(&r.Op)
	pollUntil(t, b, "a regular file is read to its end", func() bool { return r.last })
	if r.Err != io.EOF || !bytes.Equal(r.got, want) {
		t.Errorf("%d bytes of %d, %v", len(r.got), len(want), r.Err)
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	in, err1 := b.Adopt(fds[0])
	out, err2 := b.Adopt(fds[1])
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	r2 := &result{Op: proactor.Op{Kind: proactor.OpRecv, Handle: in}}
	s := &result{Op: proactor.Op{Kind: proactor.OpSend, Handle: out, Buf: want, Bufs: [][]byte{want[:3]}}}
	r2.Owner, s.Owner = r2, s
	b.Submit(&r2.Op)
	b.Submit(&s.Op)
	pollUntil(t, b, "everything goes through a pipe", func() bool { return s.last && len(r2.got) == len(want)+3 })
	if err := b.CloseFD(out); err != nil || s.Err != nil || s.N != len(want)+3 {
		t.Errorf("%v; sent %d, %v", err, s.N, s.Err)
	}
	pollUntil(t, b, "the pipe ends", func() bool { return r2.last })
	if r2.Err != io.EOF || !bytes.Equal(r2.got[:len(want)], want) {
		t.Errorf("%d bytes, %v", len(r2.got), r2.Err)
	}
}

// inChild runs the calling test once more in a process of its own, and reports
// whether this is that process.
func inChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv("MOBIUS_CHILD") == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "MOBIUS_CHILD="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in the child: %v\n%s", err, out)
	}
	return false
}

func TestAcceptWithoutDescriptors(t *testing.T) {
	if !inChild(t) {
		return
	}
	b := opened(t, Options{})
	s, bound := serve(t, b, nil)
	var clients []net.Conn
	for range 4 {
		c, err := net.Dial("tcp", bound.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	limit := unix.Rlimit{Cur: 64, Max: 64}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var used []int
	for {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			break
		}
		used = append(used, fd)
	}
	pollUntil(t, b, "the accept ends", func() bool { return !s.accept.Active() })
	if len(s.errs) != 1 || s.errs[0] != unix.EMFILE {
		t.Fatalf("accept ends with %v, want EMFILE", s.errs)
	}
	if n, err := b.Refuse(s.accept.Handle, 2); n != 2 || err != nil {
		t.Errorf("Refuse: %d, %v", n, err)
	}
	for _, c := range clients[:2] {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("a refused client sees %v", err)
		}
	}
	for _, fd := range used {
		unix.Close(fd)
	}
	b.Submit(&s.accept)
	pollUntil(t, b, "the others are accepted once there are descriptors", func() bool { return len(s.conns) == 2 })
	if b.Stats().Refused != 2 {
		t.Errorf("Refused is %d", b.Stats().Refused)
	}
}
