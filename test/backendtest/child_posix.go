//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package backendtest

import (
	"bytes"
	"os"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// Sentence 13a as a real child sees it.

// a collector reads a pipe, or a terminal, to its end.
type collector struct {
	*probe
	text []byte
}

func (d *driver) collect(h proactor.Handle) *collector {
	c := &collector{probe: d.probe(proactor.OpRecv, d.own(h))}
	c.on = func() { c.text = append(c.text, c.Buf...) }
	c.submit()
	return c
}

// sh starts a command of the shell.
func (w *world) sh(script string, c proactor.Command) (proactor.Handle, []proactor.Handle) {
	w.Helper()
	c.Path, c.Args, c.Env = "/bin/sh", []string{"sh", "-c", script}, []string{"PATH=/usr/bin:/bin"}
	h, pipes, err := w.server.b.Spawn(&c)
	if err != nil {
		w.Fatalf("Spawn: %v", err)
	}
	return w.server.own(h), pipes
}

// wantExit waits for a child and checks its exit status.
func (w *world) wantExit(h proactor.Handle, status int) {
	w.Helper()
	p := w.server.probe(proactor.OpChild, h)
	p.submit()
	w.until("the child ends", p.isIdle)
	if p.err != nil || exitStatus(p.n) != status {
		w.Fatalf("status %#x, %v; want exit status %d", p.n, p.err, status)
	}
}

func s13aAChildHasWhatIsNamed(w *world) {
	if !w.hasChildren() {
		return
	}
	file, err := os.CreateTemp(w.dir(), "f")
	if err != nil {
		w.Fatal(err)
	}
	defer file.Close()
	h, pipes := w.sh("cat; echo to 5 >&5; echo to 9 >&9; for f in 0 1 3 4 5 6 7 8 9; do "+
		"if { true >&$f; } 2>/dev/null; then echo $f; fi; done; exit 3", proactor.Command{
		Pipes: []proactor.ChildPipe{{FD: 0, Write: true}, {FD: 1}, {FD: 5}},
		Files: []proactor.ChildFile{{FD: 9, Parent: int(file.Fd())}},
	})
	out, five := w.server.collect(pipes[1]), w.server.collect(pipes[2])
	in := stream{w.server, w.server.own(pipes[0])}
	in.say([]byte("in\n"))
	in.close()
	w.until("its pipes end", func() bool { return out.isIdle() && five.isIdle() })
	w.wantExit(h, 3)
	if got := string(out.text); got != "in\n0\n1\n5\n9\n" {
		w.Errorf("the child's output: %q", got)
	}
	if got := string(five.text); got != "to 5\n" {
		w.Errorf("by descriptor 5: %q", got)
	}
	if got, err := os.ReadFile(file.Name()); err != nil || !bytes.HasPrefix(got, []byte("to 9\n")) {
		w.Errorf("by descriptor 9: %q, %v", got, err)
	}
}

// s13aManyChildrenAtOnce has each of them say something.
func s13aManyChildrenAtOnce(w *world) {
	if !w.hasChildren() {
		return
	}
	const n = 20
	var outs [n]*collector
	var children [n]proactor.Handle
	for i := range n {
		h, pipes := w.sh("echo hello; exit $1", proactor.Command{Pipes: []proactor.ChildPipe{{FD: 1}}})
		children[i], outs[i] = h, w.server.collect(pipes[0])
	}
	for i := range n {
		w.until("its output ends", outs[i].isIdle)
		if string(outs[i].text) != "hello\n" {
			w.Fatalf("child %d says %q", i, outs[i].text)
		}
		w.wantExit(children[i], 0)
	}
}

func s13aAChildOnATerminal(w *world) {
	if !w.hasChildren() {
		return
	}
	if _, err := os.Stat("/dev/ptmx"); err != nil {
		testenv.Missing(w.TB, "no pseudo-terminals: %v", err)
	}
	h, pipes := w.sh("test -t 0 && test -t 1 && test -t 2 && read line && echo got $line > /dev/tty", proactor.Command{PTY: true})
	out := w.server.collect(pipes[0])
	send := w.server.probe(proactor.OpSend, pipes[0])
	send.Buf = []byte("line\n")
	send.submit()
	w.wantExit(h, 0)
	w.until("the terminal ends", out.isIdle)
	if got := string(out.text); got != "line\r\ngot line\r\n" {
		w.Errorf("on the terminal: %q", got)
	}
}
