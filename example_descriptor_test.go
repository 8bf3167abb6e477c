package mobius_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"

	"mobius"
)

// A watched is a descriptor of somebody else's: a library's, for example, that
// wants to be told when its socket is readable.
type watched struct {
	r    *mobius.Reactor
	file *os.File
}

func (w *watched) FD() int { return int(w.file.Fd()) }

// DoRead is called as long as there is something to read.
func (w *watched) DoRead() error {
	buf := make([]byte, 3)
	n, err := w.file.Read(buf)
	fmt.Printf("read %q\n", buf[:n])
	return err // io.EOF is the end
}

func (w *watched) DoWrite() error { return nil }

func (w *watched) ConnectionLost(err error) {
	fmt.Println("lost:", err)
	w.r.Stop()
}

func ExampleReactor_AddReader() {
	r := newReactor(mobius.Options{})
	in, out, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	defer in.Close()
	if err := r.AddReader(&watched{r: r, file: in}); err != nil {
		log.Fatal(err)
	}
	out.WriteString("hello")
	out.Close()
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// read "hel"
	// read "lo"
	// read ""
	// lost: EOF
}

// A filling writes into a pipe as long as there is room.
type filling struct {
	r    *mobius.Reactor
	file *os.File
	left int
}

func (f *filling) FD() int       { return int(f.file.Fd()) }
func (f *filling) DoRead() error { return nil }

func (f *filling) DoWrite() error {
	if f.left == 0 {
		return io.EOF // it needs no more
	}
	f.left--
	_, err := f.file.WriteString("a line\n")
	return err
}

func (f *filling) ConnectionLost(err error) {
	fmt.Println("lost:", err)
	f.r.Stop()
}

func ExampleReactor_AddWriter() {
	r := newReactor(mobius.Options{})
	in, out, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	defer in.Close()
	if err := r.AddWriter(&filling{r: r, file: out, left: 3}); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	out.Close()
	text, _ := io.ReadAll(in)
	fmt.Printf("%s", text)
	// Output:
	// lost: EOF
	// a line
	// a line
	// a line
}

// A shouter writes in capitals what it reads, and stops at the end.
type shouter struct {
	r *mobius.Reactor
	t mobius.Transport
}

func (s *shouter) ConnectionMade(t mobius.Transport) { s.t = t }
func (s *shouter) DataReceived(p []byte)             { s.t.Write(bytes.ToUpper(p)) }
func (s *shouter) ConnectionLost(error)              { s.r.Stop() }

// The program of the example: standard input to standard output.
func shout() {
	r := newReactor(mobius.Options{})
	if _, err := r.Stdio(&shouter{r: r}); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// The example starts itself as a child, with pipes as its standard input and
// output, so that there is something to read.
func ExampleReactor_Stdio() {
	if os.Getenv("EXAMPLE_CHILD") != "" {
		shout()
		os.Exit(0)
	}
	child := exec.Command(os.Args[0], "-test.run=^ExampleReactor_Stdio$")
	child.Env = append(os.Environ(), "EXAMPLE_CHILD=1")
	child.Stdin = bytes.NewBufferString("hello, world")
	out, err := child.Output()
	fmt.Printf("%s %v\n", out, err)
	// Output: HELLO, WORLD <nil>
}
