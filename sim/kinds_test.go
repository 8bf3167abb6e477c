package sim

import (
	"context"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"mobius/proactor"
)

func TestWork(t *testing.T) {
	w := quiet(t, 1)
	b := w.hosts[0]
	ran := 0
	p := start(b, proactor.Op{Kind: proactor.OpWork, Func: func() {
		ran++
		b.Wake() // it is not inside any lock
	}})
	if ran != 0 {
		t.Fatal("Func ran inside Submit")
	}
	w.until(p.done)
	if ran != 1 || p.err != nil {
		t.Fatalf("ran %d times, %v", ran, p.err)
	}
	p = start(b, proactor.Op{Kind: proactor.OpWork, Func: func() { ran++ }})
	b.Cancel(&p.Op)
	w.until(p.done)
	if ran != 1 || p.err != proactor.ErrCanceled {
		t.Fatalf("canceled before it began: ran %d times, %v", ran, p.err)
	}
}

func TestLookupHost(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	n := New(Options{Faults: NoFaults, Hosts: map[string][]netip.Addr{"example": {a}}})
	b := must(n.Open())
	for host, want := range map[string]netip.Addr{"example": a, "192.0.2.7": netip.MustParseAddr("192.0.2.7"), "localhost": loopback.IP()} {
		if got, err := b.LookupHost(context.Background(), host); err != nil || got[0] != want {
			t.Errorf("%s: %v, %v", host, got, err)
		}
	}
	_, err := b.LookupHost(context.Background(), "nowhere")
	if e, ok := err.(*net.DNSError); !ok || !e.IsNotFound {
		t.Errorf("nowhere: %v", err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.LookupHost(gone, "example"); err != context.Canceled {
		t.Errorf("after cancel: %v", err)
	}
}

// cat plays a child that copies its first pipe to its second, then exits with 3.
func cat(c *proactor.Command) (Program, error) {
	if c.Path != "cat" {
		return nil, syscall.ENOENT
	}
	return func(p *Process) int {
		var buf [100]byte
		for {
			n, err := p.Read(0, buf[:])
			if err != nil {
				break
			}
			if _, err := p.Write(1, buf[:n]); err != nil {
				return int(syscall.SIGPIPE)
			}
		}
		p.Close(1)
		p.Sleep(time.Second)
		return 3 << 8
	}, nil
}

var catCommand = &proactor.Command{Path: "cat", Pipes: []proactor.ChildPipe{{FD: 0, Write: true}, {FD: 1}}}

func TestChild(t *testing.T) {
	w := on(t, Options{Faults: NoFaults, Spawn: cat}, 1)
	b := w.hosts[0]
	if _, _, err := b.Spawn(&proactor.Command{Path: "dog"}); err != syscall.ENOENT {
		t.Fatalf("Spawn: %v", err)
	}
	h, pipes := must2(b.Spawn(catCommand))
	exit := start(b, proactor.Op{Kind: proactor.OpChild, Handle: h})
	data := sample(200_000) // more than the pipes hold
	out, in := start(b, proactor.Op{Kind: proactor.OpSend, Handle: pipes[0], Buf: data}), recv(b, pipes[1])
	w.until(out.done)
	w.close(b, pipes[0])
	w.until(in.done)
	wantBytes(t, in.bytes, data)
	before := w.net.Now()
	w.until(exit.done)
	if exit.n != 3<<8 || exit.err != nil || in.err != io.EOF || w.net.Now()-before < 900*time.Millisecond {
		t.Fatalf("status %#x, %v after %v; its output ends with %v", exit.n, exit.err, w.net.Now()-before, in.err)
	}
	again := start(b, proactor.Op{Kind: proactor.OpChild, Handle: h})
	w.until(again.done)
	if again.n != 3<<8 {
		t.Fatalf("asked again: %#x", again.n)
	}
	w.close(b, pipes[1])
	w.close(b, h)
	w.end()
}

// Bytes that come while a child sleeps do not wake it.
func TestChildSleeps(t *testing.T) {
	var slept time.Duration
	w := on(t, Options{Faults: NoFaults, Spawn: func(*proactor.Command) (Program, error) {
		return func(p *Process) int {
			var buf [10]byte
			p.Read(0, buf[:]) // so that there has been a wait before
			before := p.Now()
			p.Sleep(time.Second)
			slept = p.Now() - before
			return 0
		}, nil
	}}, 1)
	b := w.hosts[0]
	h, pipes := must2(b.Spawn(catCommand))
	exit := start(b, proactor.Op{Kind: proactor.OpChild, Handle: h})
	for !exit.done() {
		out := send(b, pipes[0], "x")
		w.until(out.done)
		w.pass(10 * time.Millisecond)
	}
	if slept != time.Second {
		t.Errorf("slept %v, want a second", slept)
	}
}

// A child whose parent does not read gets EPIPE when the pipe closes, and one
// that is still running when its backend closes is gone.
func TestChildThatIsLeftAlone(t *testing.T) {
	w := on(t, Options{Faults: NoFaults, Spawn: cat}, 1)
	b := w.hosts[0]
	h, pipes := must2(b.Spawn(catCommand))
	exit := start(b, proactor.Op{Kind: proactor.OpChild, Handle: h})
	start(b, proactor.Op{Kind: proactor.OpSend, Handle: pipes[0], Buf: sample(1 << 20)})
	w.pass(time.Second)
	w.close(b, pipes[1])
	w.until(exit.done)
	if exit.n != int(syscall.SIGPIPE) {
		t.Fatalf("status %#x", exit.n)
	}
	must2(b.Spawn(catCommand))
	w.pass(time.Second)
	b.Crash()
	w.end()
}

func TestPollOp(t *testing.T) {
	w := quiet(t, 1)
	b := w.hosts[0]
	x, y := w.net.Pair()
	hx, hy := must(b.Adopt(x)), must(b.Adopt(y))
	poll := func(h proactor.Handle, e proactor.Events) *probe {
		return start(b, proactor.Op{Kind: proactor.OpPoll, Handle: h, Events: e})
	}
	both := proactor.Readable | proactor.Writable
	p := poll(hx, both)
	w.until(p.done)
	if p.Events != proactor.Writable {
		t.Fatalf("events %b", p.Events)
	}
	p = poll(hx, proactor.Readable)
	w.pass(time.Second)
	if p.done() {
		t.Fatalf("readable with nothing to read: %b", p.Events)
	}
	send(b, hy, string(sample(1<<17)))
	w.until(p.done)
	for range 2 { // level-triggered
		p = poll(hx, both)
		w.until(p.done)
		if p.Events != both {
			t.Fatalf("events %b", p.Events)
		}
	}
	q := poll(hy, proactor.Writable)
	w.pass(time.Second)
	if q.done() {
		t.Fatal("writable though it is full")
	}
	w.until(start(b, proactor.Op{Kind: proactor.OpRecv, Handle: hx, Limit: 1 << 17}).done)
	w.until(q.done)
	file := must(b.Adopt(w.net.File()))
	p = poll(file, both)
	w.until(p.done)
	if p.Events != both {
		t.Fatalf("a file that cannot be polled: %b", p.Events)
	}
	p = poll(hx, proactor.Readable)
	b.Cancel(&p.Op)
	w.until(p.done)
	if p.err != proactor.ErrCanceled {
		t.Fatal(p.err)
	}
	p = poll(hx, proactor.Readable)
	w.close(b, hy)
	w.until(p.done)
	if p.Events&proactor.Readable == 0 {
		t.Fatalf("at the end of the stream: %b", p.Events)
	}
}
