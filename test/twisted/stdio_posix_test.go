//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package twisted

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mobius"
	"mobius/endpoint"
	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/test/backends"
	"mobius/transport"
)

// A mirror writes back what it reads, and stops its reactor at the end.
type mirror struct {
	r   *mobius.Reactor
	t   mobius.Transport
	err error
}

func (m *mirror) ConnectionMade(t mobius.Transport) { m.t = t }

func (m *mirror) DataReceived(p []byte) {
	if _, err := m.t.Write(p); err != nil {
		m.t.CloseWithError(err)
	}
}

func (m *mirror) ConnectionLost(err error) {
	m.err = err
	_ = m.r.Stop() // an error means that it stops
}

// later is what the program writes to descriptor 1 itself, when the transport is
// done.
const later = ", and later"

// reflectStdio is the program of the tests below: it writes its standard input to its
// standard output by a reactor on a backend, then later, and exits. connect gives
// the protocol its transport.
func reflectStdio(backend string, connect func(r *mobius.Reactor, p mobius.Protocol) error) error {
	i := slices.IndexFunc(backends.Real(), func(b backends.Backend) bool { return b.Name == backend })
	if i < 0 {
		return fmt.Errorf("no backend %q", backend)
	}
	open := backends.Real()[i].Open
	r, err := mobius.New(mobius.Options{Open: func(int) (proactor.Backend, error) { return open() }})
	if err != nil {
		return err
	}
	m := &mirror{r: r}
	if err := connect(r, m); err != nil {
		return err
	}
	if err := r.Run(context.Background()); err != nil {
		return err
	}
	var e *transport.ConnError
	if !errors.As(m.err, &e) || e.Kind != transport.Done {
		return fmt.Errorf("lost by %w", m.err)
	}
	_, err = os.Stdout.WriteString(later)
	return err
}

// byStdio connects a program by the reactor's own method.
func byStdio(r *mobius.Reactor, p mobius.Protocol) error {
	_, err := r.Stdio(p)
	return err
}

// eachReflection runs that program on every real backend, with text as its
// standard input and out as its standard output.
func eachReflection(t *testing.T, text string, connect func(r *mobius.Reactor, p mobius.Protocol) error,
	out func(t *testing.T) (w io.Writer, got func() string)) {
	if flag.Arg(0) == "reflect" {
		if err := reflectStdio(flag.Arg(1), connect); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0) // and not a word of the test's
	}
	for _, b := range backends.Real() {
		t.Run(b.Name, func(t *testing.T) {
			probe, err := b.Open()
			if err != nil {
				testenv.Missing(t, "%s: %v", b.Name, err)
			}
			_ = probe.Close()
			name, _, _ := strings.Cut(t.Name(), "/")
			c := exec.Command(os.Args[0], "-test.run=^"+name+"$", "reflect", b.Name)
			var got func() string
			var trouble bytes.Buffer
			c.Stdout, got = out(t)
			c.Stdin, c.Stderr = strings.NewReader(text), &trouble
			if err := c.Run(); err != nil {
				t.Fatalf("%v: %s", err, trouble.Bytes())
			}
			if s := got(); s != text+later {
				t.Errorf("the output has %d bytes, want %d, and the last are %q", len(s), len(text+later), s[max(0, len(s)-20):])
			}
		})
	}
}

// What is written to descriptor 1 itself, after the transport is done, arrives.
func TestCase324DirectWriteAfterTheTransport(t *testing.T) {
	eachReflection(t, "hello", byStdio, throughAPipe)
}

// throughAPipe is an output that is a pipe.
func throughAPipe(*testing.T) (io.Writer, func() string) {
	var all bytes.Buffer
	return &all, all.String
}

// The endpoint is the same by a description.
func TestStdioEndpointOfAProcess(t *testing.T) {
	eachReflection(t, "hello", func(r *mobius.Reactor, p mobius.Protocol) error {
		server, err := endpoint.ParseServer(r, "stdio:")
		if err == nil {
			server.Listen(mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return p }))
		}
		return err
	}, throughAPipe)
}

// A file takes everything, whatever its size.
func TestCase328StandardOutputIsAFile(t *testing.T) {
	eachReflection(t, strings.Repeat("a line of the file\n", 20_000), byStdio, func(t *testing.T) (io.Writer, func() string) {
		f, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f, func() string {
			b, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
	})
}
