package netconn

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"mobius"
	"mobius/proactor"
)

// A Write that waits for the loop goes on when that begins nothing any more.
func TestErrandThatIsRefused(t *testing.T) {
	var e errand
	e.init()
	e.mu.Lock()
	e.stage, e.w.waiting = wanted, true
	e.mu.Unlock()
	begin, cancel := e.take(func() bool { return false })
	if begin || cancel || e.stage != sent || e.err != proactor.ErrCanceled {
		t.Errorf("begin %v, cancel %v, stage %d, %v", begin, cancel, e.stage, e.err)
	}
	select {
	case <-e.w.ch:
	default:
		t.Error("who waits for it was not woken")
	}
}

// A Close does not take the descriptor's number from a function that uses it.
func TestNumberIsNotClosedUnderItsUser(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		client, server, err := connected(r, "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		c := server.(*TCPConn)
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = raw.Control(func(fd uintptr) {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			for range 3 { // turns, in which the loop ends the operations and would close it
				if err := r.On(c.l, func() {}); err != nil {
					t.Error(err)
				}
			}
			own, err := c.b.Duplicate(int(fd))
			if err != nil {
				t.Errorf("the number is nobody's any more: %v", err)
				return
			}
			os.NewFile(uintptr(own), "").Close()
		})
		if err != nil {
			t.Error(err)
		}
		_ = client.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := client.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("it was not closed afterwards")
		}
		if err := raw.Control(func(uintptr) {}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Control afterwards: %v", err)
		}
	})
}
