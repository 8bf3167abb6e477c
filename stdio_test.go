package mobius

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"mobius/internal/testenv"
)

// An echoer writes back what it reads, and stops the reactor at its end.
type echoer struct {
	r   *Reactor
	t   Transport
	err error
}

func (e *echoer) ConnectionMade(t Transport) { e.t = t }

func (e *echoer) DataReceived(p []byte) {
	if _, err := e.t.Write(p); err != nil {
		e.t.CloseWithError(err)
	}
}

func (e *echoer) ConnectionLost(err error) {
	e.err = err
	_ = e.r.Stop() // an error means that it stops
}

// onStdio runs an echo whose output is out, and returns how it ended.
func onStdio(t *testing.T, out *os.File) error {
	t.Helper()
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := feed.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	if err := feed.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := &echoer{r: r}
	s, err := r.stdio(e, int(in.Fd()), int(out.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if s != e.t || s.LocalAddr().IsValid() || s.RemoteAddr().IsValid() {
		t.Errorf("transport %v, addresses %v and %v", s, s.LocalAddr(), s.RemoteAddr())
	}
	if err := r.Run(context.Background()); err != nil {
		t.Error(err)
	}
	return e.err
}

func TestStdioOfPipes(t *testing.T) {
	testenv.Leaks(t)
	from, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if err := onStdio(t, out); err == nil {
		t.Error("it has not ended")
	}
	if _, err := out.WriteString(", and later"); err != nil { // the descriptor is still there
		t.Error(err)
	}
	_ = out.Close()
	if got, err := io.ReadAll(from); err != nil || string(got) != "hello, and later" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestStdioToAFile(t *testing.T) {
	testenv.Leaks(t)
	path := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := onStdio(t, out); err == nil {
		t.Error("it has not ended")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "hello" {
		t.Errorf("the file has %q, %v", got, err)
	}
}
