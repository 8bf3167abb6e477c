package netconn

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
	"mobius/test/backends"
)

// two returns a connection of a network, and the peer's end, which is package net's.
func two(t testing.TB, r *mobius.Reactor, network string) (c, peer net.Conn) {
	t.Helper()
	at := "127.0.0.1:0"
	if network == "unix" {
		at = filepath.Join(t.TempDir(), "s")
	}
	n, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if c, err = Dial(r, network, n.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if peer, err = n.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	_ = peer.SetDeadline(time.Now().Add(testenv.Patience()))
	return c, peer
}

// relayed returns how many bytes a reactor's loops have relayed.
func relayed(t testing.TB, r *mobius.Reactor) (n uint64) {
	t.Helper()
	for _, l := range r.Loops() {
		if err := r.On(l, func() { s := l.Backend().Stats(); n += s.Spliced + s.RelayCopied }); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// everyRelay runs f with a reactor of one loop, whose connections are relayed, and
// of two, where they are not.
func everyRelay(t *testing.T, f func(t *testing.T, r *mobius.Reactor, relays bool)) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) { f(t, r, true) })
	for _, b := range backends.All() {
		t.Run(b.Name+", two loops", func(t *testing.T) {
			testenv.Leaks(t)
			f(t, running(t, b, 2).Reactor, false)
		})
	}
}

// A proxy of two io.Copy passes all bytes on in both directions, and the end of each
// by itself.
func TestProxyByCopy(t *testing.T) {
	sent := pattern(600_000)
	want := sha256.Sum256(sent)
	everyRelay(t, func(t *testing.T, r *mobius.Reactor, relays bool) {
		for _, networks := range [][2]string{{"tcp", "tcp"}, {"unix", "tcp"}, {"tcp", "unix"}} {
			front, client := two(t, r, networks[0])
			back, server := two(t, r, networks[1])
			before := relayed(t, r)
			var all sync.WaitGroup
			pass := func(to, from net.Conn) {
				n, err := io.Copy(to, from)
				if n != int64(len(sent)) || err != nil {
					t.Errorf("%v: Copy: %d, %v, want %d", networks, n, err, len(sent))
				}
				if err := to.(half).CloseWrite(); err != nil {
					t.Error(err)
				}
			}
			take := func(c net.Conn) {
				got := sha256.New()
				if n, err := io.Copy(got, struct{ io.Reader }{c}); n != int64(len(sent)) || err != nil || [32]byte(got.Sum(nil)) != want {
					t.Errorf("%v: %d of %d bytes came, %v", networks, n, len(sent), err)
				}
			}
			all.Go(func() { pass(back, front) })
			all.Go(func() { pass(front, back) })
			all.Go(func() { client.Write(sent); client.(half).CloseWrite() })
			all.Go(func() {
				take(server) // whose answer comes after the other direction's end
				server.Write(sent)
				server.(half).CloseWrite()
			})
			take(client)
			all.Wait()
			if n := relayed(t, r) - before; relays && n < uint64(len(sent))/2 {
				t.Errorf("%v: the loop has relayed %d bytes, want most of %d", networks, n, 2*len(sent))
			}
			if _, err := front.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("%v: Read afterwards: %v", networks, err)
			}
		}
	})
}

// What was received and kept goes first, a limit is obeyed to the byte, and what
// comes behind it is there for the next reader.
func TestCopyLimited(t *testing.T) {
	sent := pattern(700_000)
	everyRelay(t, func(t *testing.T, r *mobius.Reactor, _ bool) {
		from, source := two(t, r, "tcp")
		to, sink := two(t, r, "tcp")
		var all sync.WaitGroup
		all.Go(func() { source.Write(sent); source.(half).CloseWrite() })
		var got []byte
		all.Go(func() { got, _ = io.ReadAll(sink) })
		first := make([]byte, 10)
		if _, err := io.ReadFull(from, first); err != nil {
			t.Fatal(err)
		}
		p, err := from.(*TCPConn).Next(90)
		if err != nil {
			t.Fatal(err)
		}
		first = append(first, p...)
		limited := &io.LimitedReader{R: from, N: 300_000}
		if n, err := io.Copy(to, limited); n != 300_000 || err != nil || limited.N != 0 {
			t.Errorf("Copy: %d, %v, %d left", n, err, limited.N)
		}
		if n, err := io.Copy(to, limited); n != 0 || err != nil {
			t.Errorf("Copy of nothing: %d, %v", n, err)
		}
		rest, err := io.ReadAll(from)
		if err != nil {
			t.Error(err)
		}
		limited = &io.LimitedReader{R: from, N: 5}
		if n, err := to.(io.ReaderFrom).ReadFrom(limited); n != 0 || err != nil || limited.N != 5 {
			t.Errorf("ReadFrom after the end: %d, %v, %d left", n, err, limited.N)
		}
		to.(half).CloseWrite()
		all.Wait()
		if all := bytes.Join([][]byte{first, got, rest}, nil); !bytes.Equal(all, sent) {
			t.Errorf("%d + %d + %d bytes of %d", len(first), len(got), len(rest), len(sent))
		}
	})
}

// copying begins io.Copy, and waits until it has passed a byte on.
func copying(t *testing.T, to, from, source, sink net.Conn) chan error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(to, from); ended <- err }()
	if _, err := source.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(sink, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return ended
}

// Deadlines and Close of either side end a copy that waits, and nothing is lost by a
// deadline.
func TestCopyInterrupted(t *testing.T) {
	everyRelay(t, func(t *testing.T, r *mobius.Reactor, _ bool) {
		from, source := two(t, r, "tcp")
		to, sink := two(t, r, "unix")
		ended := copying(t, to, from, source, sink)
		from.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the source's deadline: %v", err)
		}
		from.SetReadDeadline(time.Time{})

		ended = copying(t, to, from, source, sink)
		to.SetWriteDeadline(time.Now().Add(-time.Second))
		w := &to.(*UnixConn).w
		testenv.Eventually(t, testenv.Patience(), "the loop relays no more", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.task == taskSend
		})
		if _, err := source.Write([]byte("kept")); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the sink's deadline: %v", err)
		}
		to.SetWriteDeadline(time.Time{})
		p := make([]byte, 4)
		if _, err := io.ReadFull(from, p); err != nil || string(p) != "kept" {
			t.Errorf("after the sink's deadline there is %q, %v", p, err)
		}

		ended = copying(t, to, from, source, sink)
		to.Close()
		source.Write([]byte("for nobody")) // which package net needs to notice
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the sink's Close: %v", err)
		}
		to, sink = two(t, r, "tcp")
		from, source = two(t, r, "unix")
		ended = copying(t, to, from, source, sink)
		from.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the source's Close: %v", err)
		}
		if _, err := to.Write([]byte("on")); err != nil {
			t.Errorf("Write afterwards: %v", err)
		}
	})
}

// A full sink stops a copy, a deadline then ends it with a part, and the rest is
// still to be read: no byte is lost or told twice.
func TestCopyToFullSink(t *testing.T) {
	sent := pattern(2 << 20)
	everyRelay(t, func(t *testing.T, r *mobius.Reactor, _ bool) {
		from, source := two(t, r, "tcp")
		to, sink := two(t, r, "tcp")
		if err := errors.Join(to.(half).SetWriteBuffer(8<<10), sink.(half).SetReadBuffer(64<<10)); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		all.Go(func() { source.Write(sent); source.(half).CloseWrite() })
		var n int64
		ended := make(chan error, 1)
		go func() {
			var err error
			n, err = io.Copy(to, from)
			ended <- err
		}()
		first := make([]byte, 1)
		if _, err := io.ReadFull(sink, first); err != nil {
			t.Fatal(err)
		}
		to.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n >= int64(len(sent)) {
			t.Errorf("Copy: %d, %v", n, err)
		}
		to.(half).CloseWrite()
		var got []byte
		all.Go(func() { got, _ = io.ReadAll(sink) })
		rest, err := io.ReadAll(from)
		all.Wait()
		got = append(first, got...)
		if int64(len(got)) != n || err != nil || !bytes.Equal(append(got, rest...), sent) {
			t.Errorf("%d passed, %d told, %d left of %d, %v", len(got), n, len(rest), len(sent), err)
		}
	})
}

// A reset of either side is the copy's error; the other side goes on.
func TestCopyReset(t *testing.T) {
	everyRelay(t, func(t *testing.T, r *mobius.Reactor, _ bool) {
		from, source := two(t, r, "tcp")
		to, sink := two(t, r, "tcp")
		ended := copying(t, to, from, source, sink)
		source.(*net.TCPConn).SetLinger(0)
		source.Close()
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a reset of the source: %v", err)
		}
		from, source = two(t, r, "tcp")
		ended = copying(t, to, from, source, sink)
		sink.(*net.TCPConn).SetLinger(0)
		sink.Close()
		over := make(chan struct{})
		defer func() { <-over }()
		go func() {
			defer close(over)
			untilError(func() error { _, err := source.Write(make([]byte, 1000)); return err })
		}()
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("a reset of the sink: %v", err)
		}
		if _, err := from.Read(make([]byte, 1)); err != nil {
			t.Errorf("Read afterwards: %v", err)
		}
		source.Close()
	})
}

// A connection that is copied to itself is an echo.
func TestCopyToItself(t *testing.T) {
	sent := pattern(1 << 20)
	everyRealBackend(t, func(t *testing.T, r *mobius.Reactor) {
		c, peer := two(t, r, "tcp")
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := io.Copy(c, c); err != nil {
				t.Error(err)
			}
			c.(half).CloseWrite()
		})
		all.Go(func() { peer.Write(sent); peer.(half).CloseWrite() })
		if got, err := io.ReadAll(peer); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes came back, %v", len(got), len(sent), err)
		}
		all.Wait()
	})
}

// Readers and writers that are nothing special are copied, without a loop.
func TestCopyOfAnything(t *testing.T) {
	everyRealBackend(t, func(t *testing.T, r *mobius.Reactor) {
		c, peer := two(t, r, "tcp")
		other, end := two(t, r, "tcp")
		var all sync.WaitGroup
		all.Go(func() {
			if n, err := io.Copy(c, bytes.NewReader(pattern(100_000))); n != 100_000 || err != nil {
				t.Errorf("Copy of bytes: %d, %v", n, err)
			}
			c.(half).CloseWrite()
		})
		if n, err := io.Copy(other, peer); n != 100_000 || err != nil { // of package net
			t.Errorf("Copy of a net.TCPConn: %d, %v", n, err)
		}
		other.(half).CloseWrite()
		all.Go(func() { end.Write(pattern(100_000)); end.(half).CloseWrite() })
		var got bytes.Buffer
		if n, err := io.Copy(&got, other); n != 100_000 || err != nil || !bytes.Equal(got.Bytes(), pattern(100_000)) {
			t.Errorf("Copy to a buffer: %d, %v", n, err)
		}
		all.Wait()
		failing := errors.New("it fails")
		_, err := c.(io.ReaderFrom).ReadFrom(io.MultiReader(bytes.NewReader(nil), &failed{failing}))
		if !errors.Is(err, failing) {
			t.Errorf("ReadFrom of a reader that fails: %v", err)
		}
	})
}

type failed struct{ err error }

func (f *failed) Read([]byte) (int, error) { return 0, f.err }

// A file is sent from its offset on, and the offset goes on by what was sent.
func TestCopyOfFile(t *testing.T) {
	all := pattern(2 << 20)
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		f, err := os.Create(filepath.Join(t.TempDir(), "f"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(all); err != nil {
			t.Fatal(err)
		}
		for _, network := range []string{"tcp", "unix"} {
			f.Seek(1000, io.SeekStart)
			c, peer := two(t, r, network)
			got := make(chan []byte)
			go func() { p, _ := io.ReadAll(peer); got <- p }()
			limited := &io.LimitedReader{R: f, N: 500_000}
			if n, err := io.Copy(c, limited); n != 500_000 || limited.N != 0 || err != nil {
				t.Errorf("Copy of a part: %d, %v, %d left", n, err, limited.N)
			}
			if at, _ := f.Seek(0, io.SeekCurrent); at != 501_000 {
				t.Errorf("the offset is %d", at)
			}
			if n, err := io.Copy(c, f); n != int64(len(all))-501_000 || err != nil {
				t.Errorf("Copy: %d, %v", n, err)
			}
			if n, err := io.Copy(c, f); n != 0 || err != nil {
				t.Errorf("Copy at the end: %d, %v", n, err)
			}
			c.(half).CloseWrite()
			if p := <-got; !bytes.Equal(p, all[1000:]) {
				t.Errorf("%d bytes came, want %d", len(p), len(all)-1000)
			}
		}
		// A peer that does not read, and a deadline: what was sent is counted.
		f.Truncate(64 << 20)
		f.Seek(0, io.SeekStart)
		c, peer := two(t, r, "tcp")
		c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		n, err := io.Copy(c, f)
		if at, _ := f.Seek(0, io.SeekCurrent); !errors.Is(err, os.ErrDeadlineExceeded) || n != at {
			t.Errorf("Copy until a deadline: %d, %v; the offset is %d", n, err, at)
		}
		c.SetWriteDeadline(time.Time{})
		ended := make(chan error, 1)
		go func() { _, err := io.Copy(c, f); ended <- err }()
		w := &c.(*TCPConn).w
		blocked(t, &w.mu, &w.w)
		c.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Copy and Close: %v", err)
		}
		peer.Close()
	})
}

// A pipe is no file that sendfile(2) knows.
func TestCopyOfPipe(t *testing.T) {
	everyRealBackend(t, func(t *testing.T, r *mobius.Reactor) {
		out, in, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		c, peer := two(t, r, "tcp")
		go func() { in.Write([]byte("through a pipe")); in.Close() }()
		if n, err := io.Copy(c, out); n != 14 || err != nil {
			t.Errorf("Copy: %d, %v", n, err)
		}
		c.Close()
		if p, err := io.ReadAll(peer); string(p) != "through a pipe" || err != nil {
			t.Errorf("%q, %v", p, err)
		}
	})
}
