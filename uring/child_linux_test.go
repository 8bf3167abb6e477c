//go:build linux && (amd64 || arm64)

package uring

import (
	"io"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// spawn starts a shell.
func spawn(t *testing.T, b *Backend, script string, pipes ...proactor.ChildPipe) (child proactor.Handle, ends []proactor.Handle) {
	t.Helper()
	child, ends, err := b.Spawn(&proactor.Command{Path: testenv.Program(t, "sh"), Args: []string{"sh", "-c", script}, Pipes: pipes})
	if err != nil {
		t.Fatal(err)
	}
	return child, ends
}

// A hundred children at once: each status arrives once, and is its own.
func TestHundredChildren(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		n := 100
		if testing.Short() {
			n = 10
		}
		all := make([]*single, n)
		for i := range all {
			h, _ := spawn(t, b, "exit "+string(rune('0'+i%10)))
			all[i] = start(b, proactor.Op{Kind: proactor.OpChild, Handle: h})
		}
		for i, s := range all {
			if op := s.wait(t, b); op.Err != nil || !unix.WaitStatus(op.N).Exited() || unix.WaitStatus(op.N).ExitStatus() != i%10 {
				t.Errorf("child %d: status %#x, %v", i, op.N, op.Err)
			}
			if err := b.CloseFD(s.op.Handle); err != nil {
				t.Error(err)
			}
		}
		pass(t, b, time.Millisecond)
		for i, s := range all {
			if s.n != 1 {
				t.Errorf("child %d: %d completions", i, s.n)
			}
		}
	})
}

// Waiting can be cancelled, and begun again; what a child has written is there
// after its end.
func TestChildIsWaitedForAgain(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		h, ends := spawn(t, b, "read x; echo got $x; kill -9 $$", proactor.ChildPipe{FD: 0, Write: true}, proactor.ChildPipe{FD: 1})
		s := start(b, proactor.Op{Kind: proactor.OpChild, Handle: h})
		pass(t, b, 10*time.Millisecond)
		if err := b.CloseFD(h); err != proactor.ErrBusy {
			t.Errorf("CloseFD: %v", err)
		}
		b.Cancel(&s.op)
		if op := s.wait(t, b); op.Err != proactor.ErrCanceled {
			t.Fatal(op.Err)
		}
		s = start(b, proactor.Op{Kind: proactor.OpChild, Handle: h})
		start(b, proactor.Op{Kind: proactor.OpSend, Handle: ends[0], Buf: []byte("it\n")}).wait(t, b)
		op := s.wait(t, b)
		if ws := unix.WaitStatus(op.N); op.Err != nil || !ws.Signaled() || ws.Signal() != unix.SIGKILL {
			t.Errorf("status %#x, %v", op.N, op.Err)
		}
		if again := start(b, proactor.Op{Kind: proactor.OpChild, Handle: h}).wait(t, b); again.N != op.N || again.Err != nil {
			t.Errorf("asked again: %#x, %v", again.N, again.Err)
		}
		var out []byte
		r := &single{op: proactor.Op{Kind: proactor.OpRecv, Handle: ends[1]}}
		r.op.Owner, r.on = r, func() { out = append(out, r.last.Buf...) }
		b.Submit(&r.op)
		if op := r.wait(t, b); op.Err != io.EOF || string(out) != "got it\n" {
			t.Errorf("%q, %v", out, op.Err)
		}
		if err := b.Signal(h, syscall.SIGTERM); err != unix.ESRCH {
			t.Errorf("a signal to a child that has ended: %v", err)
		}
	})
}
