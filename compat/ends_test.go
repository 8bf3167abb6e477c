package compat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"mobius/internal/testenv"
)

// A callback has no nil for bytes that were lost, however the connection ended: by
// an abort, by the peer's reset while a close waited, by the end of the engine.
func TestCallbackOfLostBytes(t *testing.T) {
	ends := map[string]func(s *served, c Conn, peer net.Conn){
		"aborted": func(_ *served, c Conn, _ net.Conn) {
			abort := RunnableFunc(func(context.Context) error { c.(Pausable).Abort(); return nil })
			_ = c.EventLoop().Execute(context.Background(), abort)
		},
		"reset while it closes": func(_ *served, c Conn, peer net.Conn) {
			_ = c.Close()
			closed := make(chan struct{}) // the close has begun
			_ = c.EventLoop().Execute(context.Background(), RunnableFunc(func(context.Context) error { close(closed); return nil }))
			<-closed
			_ = peer.(*net.TCPConn).SetLinger(0)
			_ = peer.Close()
		},
		"cut off by Stop": func(s *served, _ Conn, _ net.Conn) {
			over, cancel := context.WithCancel(context.Background())
			cancel()
			_ = s.eng.Stop(over)
		},
	}
	eachReal(t, func(w *world) {
		for name, end := range ends {
			w.Run(name, func(t *testing.T) {
				sub := *w
				sub.T = t
				k := newCatcher()
				s := sub.serve(k, "tcp://127.0.0.1:0")
				peer := dial(t, s)
				c := wait(t, k.conns)
				answers := make(chan error, 2)
				note := func(_ Conn, err error) error { answers <- err; return nil }
				for range 2 {
					if err := c.AsyncWrite(make([]byte, 16<<20), note); err != nil {
						t.Fatal(err)
					}
				}
				end(s, c, peer)
				if first, second := wait(t, answers), wait(t, answers); first == nil || second == nil {
					t.Errorf("32 MiB that nobody has read were sent, say the callbacks: %v, %v", first, second)
				}
				wait(t, k.closed)
			})
		}
	})
}

// An engine that is stopped waits for output that a slow peer takes later, however
// much later that is.
func TestStopWaitsForASlowPeer(t *testing.T) {
	eachReal(t, func(w *world) {
		const much = 8 << 20
		k := newCatcher()
		s := w.serve(k, "tcp://127.0.0.1:0")
		peer := dial(w, s)
		c := wait(w, k.conns)
		sent := bytes.Repeat([]byte("x"), much)
		if err := c.AsyncWrite(sent, nil); err != nil {
			w.Fatal(err)
		}
		stopped := make(chan error, 1)
		go func() { stopped <- s.eng.Stop(context.Background()) }()
		el := c.EventLoop().(*eventLoop)
		testenv.Eventually(w, patience, "the engine ends for long", func() bool {
			long := make(chan bool, 1)
			if el.l.Call(func() { long <- el.draining && el.l.Now()-el.since > lastWait+10*lookAgain }) != nil {
				w.Fatal("the engine has ended, and what was written is not sent")
			}
			return wait(w, long)
		})
		if n, err := io.Copy(io.Discard, peer); n != much || err != nil {
			w.Errorf("%d bytes came, want %d: %v", n, much, err)
		}
		_ = peer.Close()
		if err := wait(w, stopped); err != nil {
			w.Errorf("Stop: %v", err)
		}
	})
}

// own says on whose address a duplicate lives, and closes it.
func own(t testing.TB, fd int, packets bool) string {
	t.Helper()
	f := os.NewFile(uintptr(fd), "duplicate")
	defer f.Close()
	if packets {
		c, err := net.FilePacketConn(f)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.LocalAddr().String()
	}
	if c, err := net.FileConn(f); err == nil {
		defer c.Close()
		return c.LocalAddr().String()
	}
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// numbered notes what its first connection says of its descriptor.
type numbered struct {
	BuiltinEventEngine
	packets bool
	asked   bool
	result  chan numbers
	after   chan int
}

type numbers struct {
	fd, dup int
	err     error
	local   string
}

func (n *numbered) OnTraffic(c Conn) Action {
	_, _ = c.Discard(-1)
	if n.asked { // the client has sent again
		return None
	}
	n.asked = true
	r := numbers{fd: c.Fd(), local: c.LocalAddr().String()}
	r.dup, r.err = c.Dup()
	n.result <- r
	return Close
}

func (n *numbered) OnClose(c Conn, _ error) Action {
	_ = c.EventLoop().Execute(context.Background(), RunnableFunc(func(context.Context) error { n.after <- c.Fd(); return nil }))
	return None
}

// A number is the engine's and ends with the connection; a duplicate is the
// caller's, and does not.
func TestFdAndDup(t *testing.T) {
	each(t, func(w *world) {
		for _, network := range []string{"tcp", "udp"} {
			n := &numbered{packets: network == "udp", result: make(chan numbers, 1), after: make(chan int, 100)}
			s := w.serve(n, network+"://127.0.0.1:0")
			c, err := w.client(newPeer()).Dial(network, s.address())
			if err != nil {
				w.Fatal(err)
			}
			var r numbers
			testenv.Eventually(w, patience, "the server has a connection", func() bool {
				_ = c.AsyncWrite([]byte("x"), nil) // a datagram may be lost
				select {
				case r = <-n.result:
					return true
				default:
					return false
				}
			})
			if !w.real {
				if r.fd != -1 || r.dup != -1 || !errors.Is(r.err, errors.ErrUnsupported) {
					w.Errorf("%s in a simulation: %+v", network, r)
				}
				continue
			}
			if r.err != nil || r.fd < 0 || r.dup < 0 || r.dup == r.fd {
				w.Fatalf("%s: %+v", network, r)
			}
			if network == "tcp" {
				if fd := wait(w, n.after); fd != -1 {
					w.Errorf("after the end the number is %d, want -1", fd)
				}
			}
			if at := own(w, r.dup, n.packets); at != r.local {
				w.Errorf("%s: the duplicate is at %s, the connection at %s", network, at, r.local)
			}
		}
	})
}

// A listener's duplicate goes on accepting when the engine has ended.
func TestDupOfListeners(t *testing.T) {
	eachReal(t, func(w *world) {
		s := w.serve(newEcho(), "tcp://127.0.0.1:0")
		fd, err := s.eng.Dup()
		if err != nil {
			w.Fatal(err)
		}
		want := s.address()
		other, err := s.eng.DupListener("tcp", "127.0.0.1:0")
		if err != nil {
			w.Fatal(err)
		}
		if _, err := s.eng.DupListener("tcp", "127.0.0.1:1"); !errors.Is(err, ErrInvalidNetworkAddress) {
			w.Errorf("DupListener of another address: %v", err)
		}
		if err := s.eng.Stop(context.Background()); err != nil {
			w.Error(err)
		}
		for _, fd := range []int{fd, other} {
			if at := own(w, fd, false); at != want {
				w.Errorf("the duplicate is at %s, the listener was at %s", at, want)
			}
		}
		if _, err := s.eng.Dup(); !errors.Is(err, ErrEngineInShutdown) {
			w.Errorf("Dup after the end: %v", err)
		}
	})
}
