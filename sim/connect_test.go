package sim

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"mobius/proactor"
)

func dial(b *Backend, to proactor.Address) *probe {
	h := must(b.Stream(to, nil))
	return start(b, proactor.Op{Kind: proactor.OpConnect, Handle: h, Addr: &to})
}

func accept(b *Backend, h proactor.Handle) *probe {
	p := &probe{b: b, Op: proactor.Op{Kind: proactor.OpAccept, Handle: h}}
	p.Owner, p.Addr = p, &p.addr
	b.Submit(&p.Op)
	return p
}

func TestNobodyListens(t *testing.T) {
	w := quiet(t, 1)
	stale := proactor.UnixAddress("/run/stale")
	dead := must(w.net.Open())
	must2(dead.Listen(stale, nil))
	dead.Crash()
	w.net.PutFile("/run/file")
	for _, c := range []struct {
		to   proactor.Address
		want error
	}{
		{loopback.WithPort(9), syscall.ECONNREFUSED},
		{proactor.UnixAddress("/run/none"), syscall.ENOENT},
		{proactor.UnixAddress("@none"), syscall.ECONNREFUSED},
		{proactor.UnixAddress("/run/file"), syscall.ECONNREFUSED},
		{stale, syscall.ECONNREFUSED},
	} {
		p := dial(w.hosts[0], c.to)
		w.until(p.done)
		if p.err != c.want {
			t.Errorf("connect to %q: %v, want %v", c.to, p.err, c.want)
		}
		w.close(w.hosts[0], p.Handle)
	}
	w.end()
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

func TestAddresses(t *testing.T) {
	w := quiet(t, 2)
	server := w.hosts[1]
	wild := proactor.IPAddress(proactor.TCP, loopback.IP(), 0)
	h, at := must2(server.Listen(wild, nil))
	if at.Port() < 32768 {
		t.Fatalf("port %d was chosen", at.Port())
	}
	for _, o := range []*proactor.SocketOptions{nil, {ReusePort: true}} {
		if _, _, err := server.Listen(at, o); err != syscall.EADDRINUSE {
			t.Fatalf("Listen on a busy port: %v", err)
		}
	}
	in := accept(server, h)
	p := dial(w.hosts[0], at)
	w.until(func() bool { return p.done() && len(in.conns) == 1 })
	local, remote, err := w.hosts[0].Names(p.Handle)
	far, near, err2 := server.Names(in.conns[0])
	if err != nil || err2 != nil || local != near || remote != far || in.addr != local || far != at {
		t.Fatalf("%v %v, %v %v, accept says %v", local, remote, far, near, in.addr)
	}
	stale := proactor.UnixAddress("/run/s")
	dead := must(w.net.Open())
	must2(dead.Listen(stale, nil))
	if _, _, err := server.Listen(stale, nil); err != syscall.EADDRINUSE {
		t.Fatalf("Listen where somebody listens: %v", err)
	}
	dead.Crash()
	must2(server.Listen(stale, nil))
	w.net.PutFile("/run/file")
	if _, _, err := server.Listen(proactor.UnixAddress("/run/file"), nil); err != syscall.EADDRINUSE {
		t.Fatalf("Listen on a file: %v", err)
	}
}

func TestReusePortShares(t *testing.T) {
	w := quiet(t, 1)
	b, o := w.hosts[0], &proactor.SocketOptions{ReusePort: true}
	h, at := must2(b.Listen(loopback, o))
	other, _ := must2(b.Listen(at, o))
	one, two := accept(b, h), accept(b, other)
	for range 40 {
		w.until(dial(b, at).done)
	}
	w.pass(time.Second)
	if len(one.conns) < 5 || len(two.conns) < 5 || len(one.conns)+len(two.conns) != 40 {
		t.Fatalf("%d and %d of 40 connections", len(one.conns), len(two.conns))
	}
}

func TestFullBacklog(t *testing.T) {
	w := quiet(t, 2)
	o := &proactor.SocketOptions{Backlog: 2}
	h, at := must2(w.hosts[1].Listen(loopback, o))
	u, path := must2(w.hosts[1].Listen(proactor.UnixAddress("/run/x"), o))
	var tcp, unix []*probe
	for range 4 {
		tcp, unix = append(tcp, dial(w.hosts[0], at)), append(unix, dial(w.hosts[0], path))
	}
	w.pass(10 * time.Second)
	if !tcp[1].done() || tcp[2].done() || !unix[1].done() || unix[2].done() {
		t.Fatal("the backlog of 2 does not take 2")
	}
	in := accept(w.hosts[1], u)
	w.until(func() bool { return unix[2].done() && unix[3].done() && len(in.conns) == 4 })
	w.until(tcp[2].done)
	if now := w.net.Now(); tcp[2].err != syscall.ETIMEDOUT || now < 127*time.Second || now > 130*time.Second {
		t.Fatalf("%v after %v, want ETIMEDOUT after 127 s", tcp[2].err, now)
	}
	again := dial(w.hosts[0], at)
	w.pass(5 * time.Second)
	if n, err := w.hosts[1].Refuse(h, 1); n != 1 || err != nil {
		t.Fatalf("Refuse: %d, %v", n, err)
	}
	w.until(again.done)
	if again.err != nil {
		t.Fatalf("a connect that found room at last: %v", again.err)
	}
	w.close(w.hosts[1], h) // resets those in the backlog
	in2 := recv(w.hosts[0], again.Handle)
	w.until(in2.done)
	if in2.err != syscall.ECONNRESET {
		t.Fatalf("in the backlog of a listener that closed: %v", in2.err)
	}
}

func TestCancelConnect(t *testing.T) {
	w := quiet(t, 2)
	h, at := must2(w.hosts[1].Listen(loopback, nil))
	p := dial(w.hosts[0], at)
	if err := w.hosts[0].CloseFD(p.Handle); err != proactor.ErrBusy {
		t.Fatalf("CloseFD: %v", err)
	}
	w.hosts[0].Cancel(&p.Op)
	w.until(p.done)
	if p.err != proactor.ErrCanceled {
		t.Fatal(p.err)
	}
	w.close(w.hosts[0], p.Handle)
	w.close(w.hosts[1], h)
	w.pass(time.Second)
	w.end()
}

func TestHandlesRunOut(t *testing.T) {
	w := on(t, Options{Faults: NoFaults, Handles: 3}, 2)
	h, at := must2(w.hosts[1].Listen(loopback, nil))
	in := accept(w.hosts[1], h)
	var out []*probe
	for range 3 {
		p := dial(w.hosts[0], at)
		w.until(p.done)
		out = append(out, p)
	}
	if _, err := w.hosts[0].Stream(at, nil); err != syscall.EMFILE {
		t.Fatalf("a fourth handle: %v", err)
	}
	w.until(in.done)
	if in.err != syscall.EMFILE || len(in.conns) != 2 {
		t.Fatalf("accept ends with %v after %d", in.err, len(in.conns))
	}
	if n, err := w.hosts[1].Refuse(h, 10); n != 1 || err != nil {
		t.Fatalf("Refuse: %d, %v", n, err)
	}
	last := recv(w.hosts[0], out[2].Handle)
	w.until(last.done)
	if last.err != syscall.ECONNRESET || w.hosts[1].Stats().Refused != 1 {
		t.Fatalf("the refused one sees %v", last.err)
	}
	w.close(w.hosts[1], in.conns[0])
	w.hosts[1].Resume(&in.Op)
	w.close(w.hosts[0], out[2].Handle)
	w.until(dial(w.hosts[0], at).done)
	w.until(func() bool { return len(in.conns) == 3 })
}

// Each failure of connecting and accepting happens, and a program can go on.
func TestConnectionFaults(t *testing.T) {
	for fault, want := range map[Fault][]error{
		Refuse:      {syscall.ECONNREFUSED},
		Timeout:     {syscall.ETIMEDOUT},
		NoFile:      {syscall.EMFILE},
		AcceptError: {syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ECONNABORTED},
		PeerGone:    {nil},
		Reset:       {nil},
	} {
		w := on(t, Options{Seed: 7, Faults: NoFaults.Set(0.5, fault), Limit: 2 * time.Hour}, 2)
		var got []error
		h, at, err := w.hosts[1].Listen(loopback, nil)
		for err != nil {
			got = append(got, err)
			h, at, err = w.hosts[1].Listen(loopback, nil)
		}
		in := accept(w.hosts[1], h)
		in.on = func() {
			if !in.More {
				got = append(got, in.Err)
				w.hosts[1].Resume(&in.Op)
			}
		}
		for range 40 {
			s, err := w.hosts[0].Stream(at, nil)
			if err != nil {
				got = append(got, err)
				continue
			}
			p := start(w.hosts[0], proactor.Op{Kind: proactor.OpConnect, Handle: s, Addr: &at})
			w.until(p.done)
			if p.err != nil {
				got = append(got, p.err)
			}
		}
		w.pass(time.Minute)
		for _, err := range got {
			found := false
			for _, x := range want {
				found = found || errors.Is(err, x)
			}
			if !found {
				t.Errorf("%v: %v", fault, err)
			}
		}
		visible := fault != PeerGone && fault != Reset
		if fired := w.net.Fired(fault); fired < 5 || visible && uint64(len(got)) != fired {
			t.Errorf("%v fired %d times and was seen %d times", fault, fired, len(got))
		}
		if fault == PeerGone && w.hosts[1].Stats().PeerGone != w.net.Fired(fault) {
			t.Errorf("PeerGone is %d, want %d", w.hosts[1].Stats().PeerGone, w.net.Fired(fault))
		}
		if fault == Reset {
			w.wantResets(in.conns)
		}
	}
}

// wantResets checks that as many of these connections were reset as Reset has
// fired.
func (w *bench) wantResets(conns []proactor.Handle) {
	w.Helper()
	reset := uint64(0)
	for _, h := range conns {
		if p := start(w.hosts[1], proactor.Op{Kind: proactor.OpSend, Handle: h, Buf: []byte("x")}); p != nil {
			w.until(p.done)
			if p.err == syscall.ECONNRESET {
				reset++
			}
		}
	}
	if fired := w.net.Fired(Reset); reset != fired {
		w.Errorf("%d of %d connections were reset, Reset fired %d times", reset, len(conns), fired)
	}
}
