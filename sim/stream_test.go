package sim

import (
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mobius/proactor"
)

var networks = []proactor.Address{loopback, proactor.UnixAddress("/run/x"), proactor.UnixAddress("@x")}

func TestBytesThenEnd(t *testing.T) {
	for _, at := range networks {
		w := quiet(t, 2)
		a, b := w.stream(at, nil)
		data := sample(300_000)
		out := start(w.hosts[0], proactor.Op{Kind: proactor.OpSend, Handle: a, Buf: data[:10], Bufs: [][]byte{data[10:10], nil, data[10:]}})
		in := recv(w.hosts[1], b)
		w.until(out.done)
		if out.n != len(data) || out.err != nil {
			t.Fatalf("send: %d, %v", out.n, out.err)
		}
		w.close(w.hosts[0], a)
		w.until(in.done)
		if in.err != io.EOF || in.n != 0 {
			t.Fatalf("recv ends with %d, %v", in.n, in.err)
		}
		wantBytes(t, in.bytes, data)
		again := recv(w.hosts[1], b)
		w.until(again.done)
		if again.err != io.EOF {
			t.Fatalf("a second recv ends with %v", again.err)
		}
		w.close(w.hosts[1], b)
		w.end()
	}
}

func TestBackPressure(t *testing.T) {
	w := quiet(t, 2)
	a, b := w.stream(loopback, &proactor.SocketOptions{SendBuffer: 1000, RecvBuffer: 500})
	out := send(w.hosts[0], a, string(sample(10_000)))
	w.pass(time.Second)
	if out.done() || out.B.Done != 1500 {
		t.Fatalf("%d bytes taken with nobody reading, want 1500", out.B.Done)
	}
	in := start(w.hosts[1], proactor.Op{Kind: proactor.OpRecv, Handle: b, Limit: 700})
	w.until(in.done)
	w.pass(time.Second)
	if len(in.bytes) != 700 || in.err != nil || out.B.Done != 2200 {
		t.Fatalf("%d bytes read with a limit of 700, %v; %d taken", len(in.bytes), in.err, out.B.Done)
	}
	w.hosts[0].Cancel(&out.Op)
	w.until(out.done)
	if out.n != 2200 || out.err != proactor.ErrCanceled {
		t.Fatalf("canceled send: %d, %v", out.n, out.err)
	}
}

func TestHalfClose(t *testing.T) {
	w := quiet(t, 2)
	a, b := w.stream(loopback, nil)
	ask, question, answer := send(w.hosts[0], a, "?"), recv(w.hosts[1], b), recv(w.hosts[0], a)
	w.until(ask.done)
	if err := w.hosts[0].Shutdown(a); err != nil {
		t.Fatal(err)
	}
	w.until(question.done)
	late := send(w.hosts[0], a, "x")
	w.until(late.done)
	if late.err != syscall.EPIPE {
		t.Fatalf("send after Shutdown: %v", late.err)
	}
	send(w.hosts[1], b, "!")
	w.until(func() bool { return string(answer.bytes) == "!" })
	w.close(w.hosts[1], b)
	w.until(answer.done)
	if string(question.bytes) != "?" || question.err != io.EOF || answer.err != io.EOF {
		t.Fatalf("%q %v, %v", question.bytes, question.err, answer.err)
	}
	w.close(w.hosts[0], a)
	w.end()
}

// Closing with unread input resets the connection, on TCP and on unix sockets.
func TestCloseWithUnreadInputResets(t *testing.T) {
	for _, at := range networks[:2] {
		w := quiet(t, 2)
		a, b := w.stream(at, nil)
		w.until(send(w.hosts[0], a, "nobody reads this").done)
		w.until(send(w.hosts[1], b, "read").done)
		w.pass(time.Second)
		w.close(w.hosts[1], b)
		w.pass(time.Second)
		in := recv(w.hosts[0], a)
		w.until(in.done)
		if string(in.bytes) != "read" || in.err != syscall.ECONNRESET {
			t.Fatalf("%v: %q, %v; want the bytes that had arrived, then ECONNRESET", at, in.bytes, in.err)
		}
		in, out := recv(w.hosts[0], a), send(w.hosts[0], a, "x")
		w.until(func() bool { return in.done() && out.done() })
		if in.err != io.EOF || out.err != syscall.EPIPE {
			t.Fatalf("afterwards: %v, %v; want EOF and EPIPE, the error was told", in.err, out.err)
		}
		w.close(w.hosts[0], a)
		w.end()
	}
}

// Bytes for a socket that is closed are answered with a reset.
func TestWriteToClosedPeer(t *testing.T) {
	w := quiet(t, 2)
	a, b := w.stream(loopback, nil)
	w.close(w.hosts[1], b)
	w.pass(time.Second)
	first := send(w.hosts[0], a, "x") // the peer's end has come, its reset has not
	w.until(first.done)
	w.pass(time.Second)
	ended := recv(w.hosts[0], a) // the reset does not take the end back
	w.until(ended.done)
	second := send(w.hosts[0], a, "x")
	w.until(second.done)
	in := recv(w.hosts[0], a)
	w.until(in.done)
	if first.err != nil || second.err != syscall.EPIPE || ended.err != io.EOF || in.err != io.EOF {
		t.Fatalf("%v, %v; recv %v", first.err, second.err, in.err)
	}
}

func TestResetAborts(t *testing.T) {
	w := quiet(t, 2)
	a, b := w.stream(loopback, nil)
	in, out := recv(w.hosts[0], a), send(w.hosts[0], a, string(sample(1<<20)))
	w.pass(time.Millisecond)
	if err := w.hosts[1].Reset(b); err != nil {
		t.Fatal(err)
	}
	w.close(w.hosts[1], b)
	w.until(func() bool { return in.done() && out.done() })
	one := errors.Is(in.err, syscall.ECONNRESET) != errors.Is(out.err, syscall.ECONNRESET)
	if !one || out.n < 1<<16 || out.n > 1<<17 {
		t.Fatalf("%v, %v with %d taken; want ECONNRESET once", in.err, out.err, out.n)
	}
	w.close(w.hosts[0], a)
	w.end()
}

func TestTryWrite(t *testing.T) {
	w := quiet(t, 2)
	a, b := w.stream(loopback, &proactor.SocketOptions{SendBuffer: 10, RecvBuffer: 10})
	data := sample(30)
	n, err := w.hosts[0].TryWrite(a, [][]byte{data[:3], nil, data[3:]})
	if n != 20 || err != nil {
		t.Fatalf("%d, %v; want the 20 bytes that fit", n, err)
	}
	if n, err = w.hosts[0].TryWrite(a, [][]byte{data}); n != 0 || err != nil {
		t.Fatalf("%d, %v; want 0", n, err)
	}
	in := recv(w.hosts[1], b)
	w.until(func() bool { return len(in.bytes) == 20 })
	wantBytes(t, in.bytes, data[:20])
	out := send(w.hosts[0], a, "loop")
	defer func() {
		if recover() == nil {
			t.Error("TryWrite beside a Send went unnoticed")
		}
		w.until(out.done)
	}()
	w.hosts[0].TryWrite(a, [][]byte{data})
}

// Control data and files stay with the byte that they were sent with.
func TestFilesTravel(t *testing.T) {
	w := quiet(t, 2)
	a, b := w.stream(proactor.UnixAddress("/run/x"), nil)
	w.until(send(w.hosts[0], a, "before").done)
	x, y := w.net.Pair()
	with := start(w.hosts[0], proactor.Op{Kind: proactor.OpSend, Handle: a, Buf: []byte("with"),
		Msg: &proactor.Msg{Control: []byte("c"), Files: []int{x}}})
	if err := w.net.CloseFile(x); err != nil { // duplicated by Submit
		t.Fatal(err)
	}
	w.until(with.done)
	w.pass(time.Second)
	in := &probe{b: w.hosts[1], Op: proactor.Op{Kind: proactor.OpRecv, Handle: b, Msg: &proactor.Msg{}}}
	in.Owner = in
	var pieces []string
	in.on = func() {
		pieces = append(pieces, string(in.Buf)+"/"+string(in.Msg.Control))
		in.files = append(in.files, in.Msg.Files...)
	}
	w.hosts[1].Submit(&in.Op)
	w.until(func() bool { return len(in.bytes) == 10 })
	if len(pieces) != 2 || pieces[0] != "before/" || pieces[1] != "with/c" || len(in.files) != 1 {
		t.Fatalf("%q with files %v", pieces, in.files)
	}
	h := must(w.hosts[1].Adopt(in.files[0]))
	other := must(w.hosts[0].Adopt(y))
	w.until(send(w.hosts[0], other, "hello").done)
	far := start(w.hosts[1], proactor.Op{Kind: proactor.OpRecv, Handle: h, Limit: 5})
	w.until(far.done)
	if string(far.bytes) != "hello" {
		t.Fatalf("%q through a file that travelled", far.bytes)
	}
}

// Files that nobody asks for, or that never arrive, are closed.
func TestFilesThatAreNotDelivered(t *testing.T) {
	w := quiet(t, 2)
	a, b := w.stream(proactor.UnixAddress("/run/x"), nil)
	for range 2 {
		x, y := w.net.Pair()
		out := start(w.hosts[0], proactor.Op{Kind: proactor.OpSend, Handle: a, Buf: []byte("x"), Msg: &proactor.Msg{Files: []int{x, y}}})
		w.until(out.done)
		w.net.CloseFile(x)
		w.net.CloseFile(y)
	}
	in := start(w.hosts[1], proactor.Op{Kind: proactor.OpRecv, Handle: b, Limit: 1}) // without Msg
	w.until(in.done)
	if left := w.net.Files(); len(left) != 2 {
		t.Fatalf("%d descriptors are open, want the 2 that are on their way", len(left))
	}
	w.close(w.hosts[1], b)
	w.close(w.hosts[0], a)
	w.end()
	bad := start(w.hosts[0], proactor.Op{Kind: proactor.OpSend, Handle: 0, Msg: &proactor.Msg{Files: []int{1}}})
	w.until(bad.done)
	if bad.err != proactor.ErrClosed {
		t.Fatal(bad.err)
	}
}

// A number that is given out again is another handle.
func TestStaleHandles(t *testing.T) {
	w := quiet(t, 1)
	b := w.hosts[0]
	x, y := w.net.Pair()
	old := must(b.Adopt(x))
	token := b.Token(old)
	token.Share(old)
	w.close(b, old)
	h := must(b.Adopt(y))
	if h.Index() != old.Index() || h == old {
		t.Fatalf("%v after %v", h, old)
	}
	p := recv(b, old)
	w.until(p.done)
	if n, err := b.TryWrite(old, [][]byte{{1}}); p.err != proactor.ErrClosed || n != 0 || err != proactor.ErrClosed {
		t.Fatalf("recv: %v, TryWrite: %d, %v", p.err, n, err)
	}
	if b.Token(old) != nil || token.Enter(old) || b.CloseFD(old) != proactor.ErrClosed {
		t.Fatal("a stale handle works")
	}
}

// CloseFD waits for a guest who is inside the token.
func TestCloseWaitsForAGuest(t *testing.T) {
	w := quiet(t, 1)
	x, y := w.stream(loopback, nil)
	token := w.hosts[0].Token(x)
	token.Share(x)
	if !token.Enter(x) {
		t.Fatal("cannot enter")
	}
	var left atomic.Bool
	go func() {
		for range 1000 {
			runtime.Gosched()
		}
		w.hosts[0].TryWrite(x, [][]byte{[]byte("bye")})
		left.Store(true)
		token.Leave(x)
	}()
	w.close(w.hosts[0], x)
	if !left.Load() {
		t.Fatal("CloseFD returned while a guest was inside")
	}
	in := recv(w.hosts[0], y)
	w.until(in.done)
	if string(in.bytes) != "bye" || in.err != io.EOF {
		t.Fatalf("%q, %v", in.bytes, in.err)
	}
}

func TestDetachAndAdopt(t *testing.T) {
	w := quiet(t, 3)
	a, b := w.stream(loopback, nil)
	server, third := w.hosts[2], w.hosts[1]
	w.until(send(w.hosts[0], a, "one").done)
	in := recv(server, b)
	if _, err := server.Detach(b); err != proactor.ErrBusy {
		t.Fatalf("Detach with a recv active: %v", err)
	}
	w.until(func() bool { return len(in.bytes) == 3 })
	server.Cancel(&in.Op)
	w.until(in.done)
	fd := must(server.Detach(b))
	if err := server.CloseFD(b); err != proactor.ErrClosed {
		t.Fatalf("CloseFD of what was detached: %v", err)
	}
	w.until(send(w.hosts[0], a, "two").done) // arrives while nobody has it
	w.pass(time.Second)
	h := must(third.Adopt(fd))
	if _, err := third.Adopt(fd); err != syscall.EBADF {
		t.Fatalf("second Adopt: %v", err)
	}
	in = recv(third, h)
	w.close(w.hosts[0], a)
	w.until(in.done)
	if string(in.bytes) != "two" || in.err != io.EOF {
		t.Fatalf("%q, %v", in.bytes, in.err)
	}
	w.close(third, h)
	w.end()
}
