//go:build unix

package transport

import (
	"os"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
)

// lowerLimit gives the process few descriptors until the test ends. (io_uring
// reads the limit when an accept is submitted, not when a connection comes.)
func lowerLimit(t *testing.T) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	few := old
	few.Cur = 256
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	})
}

// exhaust takes every descriptor that is left; the returned function gives
// them back.
func exhaust(t *testing.T) func() {
	t.Helper()
	var files []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		files = append(files, f)
	}
	back := func() {
		for _, f := range files {
			_ = f.Close()
		}
		files = nil
	}
	t.Cleanup(back)
	return back
}

// The peers' loss: EMFILE ended gnet and evio. Here clients are reset, nothing
// spins, the connections that there are live on, and service is back within
// a second.
func TestOutOfDescriptors(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if w.net != nil {
			return // the simulator has descriptors of its own: TestAcceptErrors
		}
		lowerLimit(t)
		old, oldClient := w.rec("old server"), w.rec("old client")
		old.onData = func(r *rec) { _, _ = r.c.Write(r.last) }
		w.pair(old, oldClient, nil)
		dials := make([]*dial, 20)
		for i := range dials {
			h, err := w.l.Sockets().Stream(w.ln.Addr(), nil)
			if err != nil {
				t.Fatal(err)
			}
			dials[i] = &dial{to: w.ln.Addr()}
			dials[i].op = proactor.Op{Kind: proactor.OpConnect, Handle: h, Owner: dials[i], Addr: &dials[i].to}
		}
		back := exhaust(t)
		var clients []*rec
		for _, d := range dials {
			w.l.Submit(&d.op)
		}
		for _, d := range dials {
			w.until("connected", func() bool { return d.done })
			if d.op.Err != nil { // it was reset before this end knew that it is connected
				_ = w.l.Sockets().CloseFD(d.op.Handle)
				continue
			}
			r := w.rec("client")
			NewConn(w.l, d.op.Handle, tcpAny, d.to, nil).Start(r)
			clients = append(clients, r)
		}
		for _, r := range clients {
			w.until("refused", func() bool { return r.lost() })
			if kindOf(r.err) != Lost {
				t.Errorf("a client ended with %v, want a reset", r.err)
			}
		}
		_, _ = oldClient.c.Write([]byte("alive?"))
		w.until("the old connection answers", func() bool { return oldClient.got.Len() == 6 })
		w.until("400 ms have passed", after(w, 400*time.Millisecond))
		stats := w.ln.Stats()
		if n := stats.Errors[syscall.EMFILE]; n == 0 || n > 60 || stats.Refused < uint64(len(clients)) {
			t.Errorf("%d EMFILE, %d refused; want some and no spin, and at least %d", n, stats.Refused, len(clients))
		}
		if len(w.troubles) != 1 || w.troubles[0].Kind != loop.AcceptFailed {
			t.Errorf("reported %v, want one", w.troubles)
		}
		back()
		start := w.l.Backend().Now()
		w.pair(w.rec("new server"), w.rec("new client"), nil)
		if took := w.l.Backend().Now() - start; took > time.Second {
			t.Errorf("service was back after %v", took)
		}
	})
}
