package backendtest

import "mobius/proactor"

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
