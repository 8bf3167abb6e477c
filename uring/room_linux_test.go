//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A kernel that says that there is room and then takes nothing, since it is
// short of memory, is not asked all the time: not by a Send, nor by a Relay.
func TestPromisesOfRoomThatAreBrokenDoNotSpin(t *testing.T) {
	for _, o := range []Options{{}, {Without: Features()}} {
		for _, kind := range []proactor.Kind{proactor.OpSend, proactor.OpRelay} {
			for _, cancel := range []bool{false, true} {
				brokenPromises(t, o, kind, cancel)
			}
		}
	}
}

func brokenPromises(t *testing.T, o Options, kind proactor.Kind, cancel bool) {
	t.Helper()
	short, refused := true, 0
	o.inject = func(call string, _ uint32) (e errno) {
		if short && call == "send" {
			refused++
			e = unix.ENOMEM
		}
		return e
	}
	b := openTest(t, o)
	l := &late{b: b}
	fd := rawDial(t, listenFor(t, b, l))
	until(t, b, "it is accepted", func() bool { return l.h != 0 })
	data := pattern(10_000)
	d := &denied{}
	d.op = proactor.Op{Kind: kind, Handle: l.h, Owner: d, Buf: data}
	if kind == proactor.OpRelay {
		x, y := pair(t)
		if n, err := unix.Write(y, data); n != len(data) {
			t.Fatal(n, err)
		}
		_ = unix.Shutdown(y, unix.SHUT_WR)
		d.op.Handle, d.op.Relay = dup(t, b, x), &proactor.Relay{Dst: l.h}
	}
	b.Submit(&d.op)
	start := time.Now()
	for time.Since(start) < 400*time.Millisecond || refused < 3 && time.Since(start) < 20*time.Second {
		if err := b.Poll(max(50*time.Millisecond, 400*time.Millisecond-time.Since(start))); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.Stats().Enters; n > 100 || refused < 3 || !d.op.Active() {
		t.Errorf("%v, %+v: %d enters for %d sends of which nothing is taken; active: %v", kind, o.Without, n, refused, d.op.Active())
	}
	if cancel {
		b.Cancel(&d.op)
		soon(t, "the op was cancelled", func() { until(t, b, "it ends", func() bool { return !d.op.Active() }) })
		if d.err != proactor.ErrCanceled || d.op.N != 0 {
			t.Errorf("%v ends with %v after %d bytes", kind, d.err, d.op.N)
		}
		return
	}
	short = false
	until(t, b, "everything is sent once there is memory", func() bool { return !d.op.Active() })
	got := make([]byte, len(data))
	for n := 0; n < len(got); {
		k, err := unix.Read(fd, got[n:])
		if k <= 0 {
			t.Fatalf("%v: %d bytes arrive: %v", kind, n, err)
		}
		n += k
	}
	if !bytes.Equal(got, data) {
		t.Errorf("%v: the bytes have changed", kind)
	}
}
