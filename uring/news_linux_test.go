//go:build linux && (amd64 || arm64)

package uring

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// soon fails the test if f, a Poll that could wait for a minute, takes long.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if d := time.Since(start); d > 40*time.Second {
		t.Errorf("%s, and Poll waits for %v", what, d)
	}
}

// An owner that was asked for a hold may have changed what the caller waits
// for, as one that got a result.
func TestPollReturnsAfterAnEvict(t *testing.T) {
	for name, o := range map[string]Options{
		"over the cap": {Buffers: 8, BufferSize: 64, Holds: 1, Plain: true},
		"starving":     {Buffers: 2, BufferSize: 64, Holds: 2, Plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := openTest(t, o)
			m := &miser{b: b}
			fd := rawDial(t, listenFor(t, b, m))
			for i := range 2 {
				if _, err := unix.Write(fd, pattern(64)); err != nil {
					t.Fatal(err)
				}
				until(t, b, "a piece is held", func() bool { return len(m.held) == i+1 })
			}
			if name == "starving" {
				if _, err := unix.Write(fd, pattern(64)); err != nil {
					t.Fatal(err)
				}
			}
			asked := b.Stats().Evicted
			soon(t, "a hold was asked back", func() { _ = b.Poll(time.Minute) })
			if b.Stats().Evicted == asked {
				t.Error("no hold was asked back")
			}
			for _, h := range m.take() {
				h.Release()
			}
		})
	}
}

// A Complete that cancels its op and panics leaves the op's end to the next
// Poll, which has completed something by that.
func TestPollReturnsAfterWhatAPanicLeft(t *testing.T) {
	b := openTest(t, Options{Without: []Feature{MultishotRecv}}) // so that the op has to be armed again
	p := &panicking{b: b}
	fd := rawDial(t, listenFor(t, b, p))
	if _, err := unix.Write(fd, pattern(10)); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); !p.panicked && time.Now().Before(end); {
		func() {
			defer func() { _ = recover() }()
			_ = b.Poll(100 * time.Millisecond)
		}()
	}
	soon(t, "the op has ended", func() { _ = b.Poll(time.Minute) })
	if p.op.Active() || p.op.Err != proactor.ErrCanceled {
		t.Errorf("the op: active %v, %v", p.op.Active(), p.op.Err)
	}
}

type panicking struct {
	b        *Backend
	op       proactor.Op
	panicked bool
}

func (p *panicking) Complete(op *proactor.Op) {
	switch {
	case op.Kind == proactor.OpAccept && op.Err == nil:
		p.op = proactor.Op{Kind: proactor.OpRecv, Handle: op.New, Owner: p}
		p.b.Submit(&p.op)
	case op == &p.op && op.Err == nil:
		p.b.Cancel(op)
		p.panicked = true
		panic("out of Complete")
	}
}

// A loop whose waker found no room in the queue must not sleep: nobody could
// wake it.
func TestNoSleepWithoutTheWaker(t *testing.T) {
	refuse, refused := false, 0
	b := openTest(t, Options{Entries: 4, inject: func(call string, _ uint32) (e errno) {
		if refuse && call == "enter" {
			refuse = false
			refused++
			e = unix.EAGAIN
		}
		return e
	}})
	for range 4 {
		listenFor(t, b, &miser{b: b})
	}
	if b.ring.Space() != 0 {
		t.Fatalf("%d entries are free", b.ring.Space())
	}
	refuse = true
	go func() {
		for b.waker.state.Load() != sleeping {
			runtime.Gosched()
		}
		b.Wake()
	}()
	soon(t, "it was woken", func() { _ = b.Poll(time.Minute) })
	if refused != 1 || b.Stats().Woken != 1 {
		t.Errorf("%d enters were refused; %+v", refused, b.Stats())
	}
}
