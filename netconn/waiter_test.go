package netconn

import (
	"io"
	"sync/atomic"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/test/backends"
)

// counted is a bell, and how often it was rung.
type counted struct {
	proactor.Bell
	rings atomic.Int32
}

func (c *counted) Ring() {
	c.rings.Add(1)
	c.Bell.Ring()
}

// instant is a bell for backends without one.
type instant struct {
	taken atomic.Bool
	ch    chan struct{}
}

func (b *instant) Take() bool { return b.taken.CompareAndSwap(false, true) }
func (b *instant) Wait()      { <-b.ch; b.taken.Store(false) }
func (b *instant) Ring()      { b.ch <- struct{}{} }

// withBell gives c's loop a bell that counts.
func withBell(t *testing.T, c *TCPConn) *counted {
	t.Helper()
	made, done := &counted{Bell: &instant{ch: make(chan struct{}, 1)}}, make(chan struct{})
	if err := c.l.Call(func() { c.k.bell = made; close(done) }); err != nil {
		t.Fatal(err)
	}
	<-done
	return made
}

// Where each turn wakes one goroutine that one waits for the loop's bell. It is
// woken by all that wakes a Read: bytes, the deadline, Close.
func TestSingleReaderWaitsForTheBell(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		client, server := pair(t, r, Options{})
		bell := withBell(t, server)
		waits := func() bool {
			server.r.mu.Lock()
			defer server.r.mu.Unlock()
			return server.r.w.waiting
		}
		answers := make(chan error, 1)
		read := func() {
			_, err := io.ReadFull(server, make([]byte, 1))
			answers <- err
		}
		for n := range 20 {
			go read()
			testenv.Eventually(t, testenv.Patience(), "the reader waits", waits)
			if _, err := client.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := <-answers; err != nil {
				t.Fatal(err)
			}
			if got := int(bell.rings.Load()); got < n-1 || got > n+1 {
				t.Fatalf("%d rings after %d single reads", got, n+1)
			}
		}
		ends := []func(){func() { _ = server.SetReadDeadline(time.Unix(1, 0)) }, func() { _ = server.Close() }}
		for _, end := range ends {
			_ = server.SetReadDeadline(time.Time{})
			go read()
			testenv.Eventually(t, testenv.Patience(), "the reader waits", waits)
			before := bell.rings.Load()
			end()
			if err := <-answers; err == nil {
				t.Error("a Read that was ended has no error")
			}
			if bell.rings.Load() != before+1 {
				t.Errorf("%d rings, want one", bell.rings.Load()-before)
			}
		}
	})
}

// A turn that wakes several goroutines does so by channels, since other threads are
// to help.
func TestSeveralReadersNeedNoBell(t *testing.T) {
	testenv.Leaks(t)
	_, server := pair(t, running(t, backends.All()[0], 1).Reactor, Options{})
	bell := withBell(t, server)
	done := make(chan struct{})
	var a, b waiter
	if err := server.l.Call(func() {
		defer close(done)
		for _, w := range []*waiter{&a, &b} {
			w.init()
			w.waiting = true
			server.k.later(w)
		}
	}); err != nil {
		t.Fatal(err)
	}
	<-done
	<-a.ch
	<-b.ch
	testenv.Eventually(t, testenv.Patience(), "the turn has ended", func() bool { return !server.k.single.Load() })
	if server.k.seat() != nil {
		t.Error("the bell is given out where turns wake several")
	}
	if bell.rings.Load() != 0 {
		t.Error("it was rung")
	}
}
