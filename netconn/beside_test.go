package netconn

import (
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
)

// withEnd sends one more of f beside a byte, n times.
func withEnd(t *testing.T, c *UnixConn, f *os.File, n, times int) {
	t.Helper()
	fds := make([]int, n)
	for i := range fds {
		fds[i] = int(f.Fd())
	}
	for range times {
		if _, _, err := c.WriteMsgUnix([]byte("x"), syscall.UnixRights(fds...), nil); err != nil {
			t.Fatal(err)
		}
	}
}

// gone waits until nobody has the writing end of a pipe any more.
func gone(t *testing.T, why string, out *os.File) {
	t.Helper()
	out.SetReadDeadline(time.Now().Add(testenv.Patience()))
	if _, err := out.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%s: the other end of the pipe: %v, want its end", why, err)
	}
	out.Close()
}

// Descriptors that nobody has read are closed, whatever happens to their bytes.
func TestBesideIsClosed(t *testing.T) {
	ends := map[string]func(t *testing.T, c, peer *UnixConn){
		"Close": func(t *testing.T, c, _ *UnixConn) {
			c.Peek(1)
			c.Close()
		},
		"Read": func(t *testing.T, c, _ *UnixConn) { io.ReadFull(c, make([]byte, 2)) },
		"Next": func(t *testing.T, c, _ *UnixConn) { c.Next(2); c.Peek(1) },
		"Detach": func(t *testing.T, c, _ *UnixConn) {
			c.Peek(2)
			f, unread, err := c.Detach()
			if err != nil || string(unread) != "xx." {
				t.Errorf("Detach: %q, %v", unread, err)
				return
			}
			f.Close()
		},
		"Copy": func(t *testing.T, c, _ *UnixConn) { io.Copy(io.Discard, io.LimitReader(c, 2)) },
		"no room": func(t *testing.T, c, _ *UnixConn) {
			for range 2 {
				if _, n, flags, _, err := c.ReadMsgUnix(make([]byte, 1), nil); n != 0 || flags&syscall.MSG_CTRUNC == 0 || err != nil {
					t.Errorf("ReadMsgUnix without room: %d, %#x, %v", n, flags, err)
				}
			}
		},
	}
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		for name, end := range ends {
			c, peer, err := connected(r, "unix", t.TempDir()+"/s")
			if err != nil {
				t.Fatal(err)
			}
			out, in, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			withEnd(t, peer.(*UnixConn), in, 3, 2)
			peer.Write([]byte("."))
			in.Close()
			if _, err := c.(*UnixConn).Peek(1); err != nil {
				t.Fatal(err)
			}
			end(t, c.(*UnixConn), peer.(*UnixConn))
			gone(t, name, out)
			c.Close()
			peer.Close()
		}
	})
}

// A connection keeps so many descriptors that nobody reads; the others wait, and
// come when there is room.
func TestBesideLimit(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		a, b, err := connected(r, "unix", t.TempDir()+"/s")
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		defer b.Close()
		out, in, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c, peer := a.(*UnixConn), b.(*UnixConn)
		const each, times = 50, 12
		withEnd(t, peer, in, each, times)
		in.Close()
		kept := 0
		testenv.Eventually(t, testenv.Patience(), "the limit is reached", func() bool {
			c.r.mu.Lock()
			defer c.r.mu.Unlock()
			kept = c.r.q.files
			return c.r.stopped
		})
		if kept < keptFiles || kept >= each*times {
			t.Errorf("%d descriptors are kept", kept)
		}
		rec := &record{t: t}
		oob := make([]byte, syscall.CmsgSpace(4*each))
		for range times {
			_, n, _, _, err := c.ReadMsgUnix(make([]byte, 10), oob)
			if err != nil {
				t.Fatal(err)
			}
			if got := rec.take(oob[:n]); got != each {
				t.Errorf("%d descriptors came", got)
			}
		}
		gone(t, "all are closed", out)
	})
}
