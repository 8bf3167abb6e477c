package backendtest

import (
	"syscall"

	"mobius/proactor"
)

// Sentence 13: children.

// exitStatus returns the status as WEXITSTATUS does, -1 if the child did not exit.
func exitStatus(status int) int {
	if status&0x7f != 0 {
		return -1
	}
	return status >> 8 & 0xff
}

func s13CompletesOnceWithTheStatus(w *world) {
	_, b := w.connect() // a handle that is good, though for something else
	if !w.supports(proactor.OpChild, b.h) {
		return
	}
	command := w.cfg.Child
	if command == nil {
		command = func(status int) *proactor.Command {
			return &proactor.Command{Path: "/bin/sh", Args: []string{"sh", "-c", "exit " + string(rune('0'+status))}}
		}
	}
	for status := range 4 {
		h, pipes, err := w.server.b.Spawn(command(status))
		if err != nil || len(pipes) != 0 {
			w.Fatalf("Spawn: %d pipes, %v", len(pipes), err)
		}
		w.server.own(h)
		p := w.server.probe(proactor.OpChild, h)
		p.submit()
		if err := w.server.b.CloseFD(h); err != proactor.ErrBusy {
			w.Fatalf("CloseFD of a child that is waited for: %v, want ErrBusy", err)
		}
		w.until("the child ends", p.isIdle)
		if p.err != nil || exitStatus(p.n) != status || p.results != 1 {
			w.Fatalf("status %#x, %v, %d results; want exit status %d once", p.n, p.err, p.results, status)
		}
		w.never("a second completion", w.brief(), func() bool { return p.results > 1 })
	}
}

// sleeper starts a child that does not end by itself.
func (w *world) sleeper() proactor.Handle {
	w.Helper()
	c := w.cfg.Sleeper
	if c == nil {
		c = &proactor.Command{Path: "/bin/sleep", Args: []string{"sleep", "1000"}}
	}
	h, _, err := w.server.b.Spawn(c)
	if err != nil {
		w.Fatalf("Spawn: %v", err)
	}
	return w.server.own(h)
}

// hasChildren reports whether the backend under test has children at all.
func (w *world) hasChildren() bool {
	w.Helper()
	_, b := w.connect() // a handle that is good, though for something else
	return w.supports(proactor.OpChild, b.h)
}

func s13aASpawnThatFailsLeavesNothing(w *world) {
	if !w.hasChildren() {
		return
	}
	had := w.server.b.Stats().Handles
	for range 3 {
		c := &proactor.Command{Path: "/nowhere/nothing", Pipes: []proactor.ChildPipe{{FD: 0, Write: true}, {FD: 1}}}
		if h, _, err := w.server.b.Spawn(c); err == nil {
			w.server.own(h)
			w.Fatal("a program that is not there was started")
		}
	}
	if n := w.server.b.Stats().Handles; n != had {
		w.Fatalf("%d handles after Spawns that failed, want %d", n, had)
	}
}

func s13bSignalReachesTheChild(w *world) {
	if !w.hasChildren() {
		return
	}
	other := w.sleeper()
	h := w.sleeper()
	pid, err := w.server.b.ProcessID(h)
	if err != nil || pid <= 0 {
		w.Fatalf("ProcessID: %d, %v", pid, err)
	}
	p := w.server.probe(proactor.OpChild, h)
	p.submit()
	w.step()
	p.cancel()
	w.until("the wait is canceled", p.isIdle)
	if p.err != proactor.ErrCanceled {
		w.Fatalf("it ends with %v, want ErrCanceled", p.err)
	}
	p.submit()
	if err := w.server.b.Signal(h, 0); err != nil {
		w.Fatalf("Signal(0): %v", err)
	}
	w.never("signal 0 ends it", w.brief(), p.isIdle)
	if err := w.server.b.Signal(h, syscall.SIGTERM); err != nil {
		w.Fatalf("Signal: %v", err)
	}
	w.until("the child ends", p.isIdle)
	if p.err != nil || p.n&0x7f != int(syscall.SIGTERM) {
		w.Fatalf("status %#x, %v; want that of SIGTERM", p.n, p.err)
	}
	if err := w.server.b.Signal(h, syscall.SIGKILL); err != syscall.ESRCH {
		w.Fatalf("Signal to a child that has ended: %v, want ESRCH", err)
	}
	w.server.close(h)
	if err := w.server.b.Signal(h, syscall.SIGKILL); err != proactor.ErrClosed {
		w.Fatalf("Signal by a stale handle: %v, want ErrClosed", err)
	}
	q := w.server.probe(proactor.OpChild, other)
	q.submit()
	w.never("the other one hears of it", w.brief(), q.isIdle)
	if err := w.server.b.Signal(other, syscall.SIGKILL); err != nil {
		w.Fatalf("Signal: %v", err)
	}
	w.until("it ends, too", q.isIdle)
}
