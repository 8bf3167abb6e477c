package transport

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
)

// clients dials n times and returns the dials.
func (w *world) clients(n int) []*dial {
	w.t.Helper()
	var out []*dial
	for range n {
		h, err := w.l.Sockets().Stream(w.ln.Addr(), nil)
		if err != nil {
			w.t.Fatal(err)
		}
		d := &dial{to: w.ln.Addr()}
		d.op = proactor.Op{Kind: proactor.OpConnect, Handle: h, Owner: d, Addr: &d.to}
		w.l.Submit(&d.op)
		out = append(out, d)
	}
	return out
}

// closeAll closes what the test has opened by hand.
func (w *world) closeAll(ds []*dial) {
	for _, d := range ds {
		w.until("dialled", func() bool { return d.done })
		_ = w.l.Sockets().CloseFD(d.op.Handle)
	}
	for _, a := range w.accepted {
		_ = w.l.Sockets().CloseFD(a.h)
	}
	w.accepted = nil
}

func TestListenerHandsOnHandlesWithTheirPeers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.listen(tcpAny)
		if w.ln.Addr().Port() == 0 {
			t.Errorf("address %v", w.ln.Addr())
		}
		ds := w.clients(50)
		w.until("accepted", func() bool { return len(w.accepted) == 50 })
		peers := map[proactor.Address]bool{}
		for _, a := range w.accepted {
			peers[a.peer] = true
		}
		for _, d := range ds {
			if local, _, _ := w.l.Sockets().Names(d.op.Handle); !peers[local] {
				t.Errorf("%v was not among the accepted peers", local)
			}
		}
		if n := w.ln.Stats().Accepted; n != 50 {
			t.Errorf("%d counted", n)
		}
		w.closeAll(ds)
	})
}

// Stop frees the port, once, for all who ask. (Twisted: stopListening of
// IListeningPort, whose Deferred fires when the port is free.)
func TestStopFreesThePort(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.listen(tcpAny)
		addr := w.ln.Addr()
		if _, err := Listen(w.l, addr, nil, nil); !errors.Is(err, syscall.EADDRINUSE) || kindOf(err) != Failed {
			t.Errorf("a busy port: %v", err)
		}
		first, second := w.ln.Stop(), w.ln.Stop()
		if first != second {
			t.Error("two results")
		}
		done := 0
		first.Then(func(_ struct{}, err error) {
			if done++; err != nil {
				t.Error(err)
			}
		})
		w.until("stopped", func() bool { return done == 1 })
		again, err := Listen(w.l, addr, nil, func(proactor.Handle, proactor.Address) {})
		if err != nil {
			t.Fatal(err)
		}
		if w.ln.Stop() != first || w.ln.Addr() != addr {
			t.Error("another result, or address, after the end")
		}
		again.Stop()
		w.until("stopped", func() bool { return w.l.Members() == 0 })
		if _, err := again.Stop().Wait(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// Nobody is handed on after Stop; who was pending is reset, as close(2) of a
// listener does.
func TestStopInsideTheAcceptFunction(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3, 4, 5} {
		w := newWorld(t, sim.Options{Seed: seed, Faults: sim.NoFaults.Set(0.3, sim.EndEarly, sim.Straggle, sim.Delay, sim.SmallBatch)})
		calls := 0
		ln, err := Listen(w.l, tcpAny, nil, func(h proactor.Handle, peer proactor.Address) {
			calls++
			w.ln.Stop()
			w.accepted = append(w.accepted, accepted{h, peer})
		})
		if err != nil {
			t.Fatal(err)
		}
		w.ln = ln
		ds := w.clients(20)
		w.until("stopped", func() bool { return w.l.Members() == 0 })
		w.pass(time.Second)
		if calls != 1 {
			t.Errorf("seed %d: %d calls", seed, calls)
		}
		w.closeAll(ds)
	}
}

// A connection that comes while a Stop is under way is closed.
func TestConnectionAfterStop(t *testing.T) {
	w := newWorld(t, quiet(1))
	server, client := w.handles()
	w.ln.Stop()
	w.ln.op.More, w.ln.op.New = true, server.h
	(*listenerEvents)(w.ln).Complete(&w.ln.op)
	if _, _, err := w.l.Sockets().Names(server.h); err == nil || len(w.accepted) != 0 {
		t.Errorf("the connection is open (%v), or was handed on", err)
	}
	_ = w.l.Sockets().CloseFD(client)
}

func TestStopOfTheLoopStopsListeners(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.listen(tcpAny)
		w.turns(3)
		w.l.Stop()
		if err := w.l.Close(); err != nil {
			t.Error(err)
		}
		if w.l.Members() != 0 {
			t.Errorf("%d members", w.l.Members())
		}
	})
}

// The connection is closed, and accepting goes on.
func TestPanicInTheAcceptFunction(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		calls := 0
		ln, err := Listen(w.l, tcpAny, nil, func(h proactor.Handle, peer proactor.Address) {
			if calls++; calls <= 2 {
				panic("build")
			}
			w.accepted = append(w.accepted, accepted{h, peer})
		})
		if err != nil {
			t.Fatal(err)
		}
		w.ln = ln
		ds := w.clients(3)
		w.until("all called", func() bool { return calls == 3 })
		if len(w.troubles) != 2 || w.troubles[0].Value != "build" {
			t.Errorf("reported %v", w.troubles)
		}
		if n := w.l.Backend().Stats().Handles; n != 1+3+1 {
			t.Errorf("%d handles open, want a listener, three clients and one server", n)
		}
		w.closeAll(ds)
	})
}

// acceptErrors are errors with what they cost: whether waiting clients are
// refused, and whether accepting rests.
var acceptErrors = []struct {
	err           error
	refuse, rests bool
}{
	{syscall.EMFILE, true, true},
	{syscall.ENFILE, true, true},
	{syscall.ENOBUFS, true, true},
	{syscall.ENOMEM, true, true},
	{syscall.ECONNABORTED, false, false},
	{syscall.EPERM, false, false},
	{syscall.EPROTO, false, false},
	{syscall.ENETDOWN, false, false},
	{syscall.EHOSTUNREACH, false, false},
	{syscall.EBADF, false, true},
	{syscall.EINVAL, false, true},
	{errors.New("something else"), false, true},
}

// No error that accept(2) lists ends a listener, none makes it spin, and each
// is counted; reports come once in 10 s.
func TestAcceptErrors(t *testing.T) {
	for _, tc := range acceptErrors {
		w, f := newFaultyWorld(t)
		tries := 0
		lasts := true
		f.fail = func(op *proactor.Op) error {
			if op.Kind != proactor.OpAccept || !lasts {
				return nil
			}
			if tries++; !tc.rests && tries%10 == 0 {
				lasts = false // one that rests not would be asked for ever
			}
			return tc.err
		}
		w.listen(tcpAny)
		start := w.l.Backend().Now()
		if tc.rests {
			w.pass(25 * time.Second)
			lasts = false
			if tries < 100 || tries > 400 {
				t.Errorf("%v: %d tries in 25 s", tc.err, tries)
			}
			if len(w.troubles) != 3 {
				t.Errorf("%v: %d reports in 25 s, want 3", tc.err, len(w.troubles))
			}
		}
		if (f.asked > 0) != tc.refuse {
			t.Errorf("%v: Refuse called %d times", tc.err, f.asked)
		}
		healed := w.l.Backend().Now()
		ds := w.clients(1)
		w.until("accepted", func() bool { return len(w.accepted) == 1 })
		if took := w.l.Backend().Now() - healed; took > time.Second || w.ln.delay != 0 || w.ln.row != 0 {
			t.Errorf("%v: recovered after %v", tc.err, took)
		}
		if !tc.rests && w.l.Backend().Now()-start > 10*time.Millisecond {
			t.Errorf("%v: it rested", tc.err)
		}
		stats := w.ln.Stats()
		if errno, ok := tc.err.(syscall.Errno); ok && stats.Errors[errno] != uint64(tries) || !ok && stats.Other != uint64(tries) {
			t.Errorf("%v: counted %+v of %d", tc.err, stats, tries)
		}
		for _, x := range w.troubles {
			var e *AcceptError
			err, _ := x.Value.(error)
			if x.Kind != loop.AcceptFailed || !errors.As(err, &e) || !errors.Is(err, tc.err) || e.Addr != w.ln.Addr() {
				t.Errorf("%v: reported %v", tc.err, x)
			}
		}
		w.closeAll(ds)
	}
}

// Without descriptors clients are reset, and do not hang.
func TestClientsAreRefusedWithoutDescriptors(t *testing.T) {
	w, f := newFaultyWorld(t)
	f.fail = func(op *proactor.Op) error {
		if op.Kind == proactor.OpAccept {
			return syscall.EMFILE
		}
		return nil
	}
	w.listen(tcpAny)
	ds := w.clients(30)
	recs := make([]*rec, len(ds))
	for i, d := range ds {
		w.until("connected", func() bool { return d.done })
		recs[i] = w.rec("client")
		local, _, _ := w.l.Sockets().Names(d.op.Handle)
		NewConn(w.l, d.op.Handle, local, d.to, nil).Start(recs[i])
	}
	start := w.l.Backend().Now()
	for _, r := range recs {
		w.until("reset", func() bool { return r.lost() })
		r.want(Lost, syscall.ECONNRESET)
	}
	if took := w.l.Backend().Now() - start; took > 200*time.Millisecond {
		t.Errorf("took %v", took)
	}
	if n := w.ln.Stats().Refused; n != 30 {
		t.Errorf("%d counted", n)
	}
}

// A row of broken connections does not keep the loop from everything else.
func TestEndlessBrokenConnections(t *testing.T) {
	w, f := newFaultyWorld(t)
	tries := 0
	f.fail = func(op *proactor.Op) error {
		if op.Kind == proactor.OpAccept {
			tries++
			return syscall.ECONNABORTED
		}
		return nil
	}
	w.listen(tcpAny)
	w.pass(10 * time.Second)
	if tries < 1000 || tries > 64*1000 {
		t.Errorf("%d tries in 10 s", tries)
	}
	w.ln.Stop()
	w.until("stopped", func() bool { return w.l.Members() == 0 })
}
