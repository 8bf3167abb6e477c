package netconn

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
)

// SyscallConn reads and writes the descriptor itself.
func TestRawConn(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		c, peer := two(t, r, "tcp")
		raw, err := c.(*TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		look := func() (n int, errno error, err error) {
			err = raw.Read(func(fd uintptr) bool {
				n, errno = syscall.Read(int(fd), make([]byte, 10))
				return true
			})
			return
		}
		if _, errno, err := look(); errno != syscall.EAGAIN || err != nil {
			t.Errorf("a look at an idle connection: %v, %v", errno, err)
		}
		got := make(chan int, 1)
		go func() {
			err := raw.Read(func(fd uintptr) bool {
				n, errno := syscall.Read(int(fd), make([]byte, 10))
				got <- n
				if errno == syscall.EAGAIN {
					<-got
				}
				return errno != syscall.EAGAIN
			})
			if err != nil {
				t.Error(err)
			}
		}()
		testenv.Eventually(t, testenv.Patience(), "it waits for bytes", func() bool {
			rd := &c.(*TCPConn).r
			rd.mu.Lock()
			defer rd.mu.Unlock()
			return rd.polling && rd.w.waiting
		})
		peer.Write([]byte("abc"))
		if n := <-got; n != 3 {
			t.Errorf("a read of %d", n)
		}
		peer.Write([]byte("kept"))
		c.(*TCPConn).Peek(4)
		if _, _, err := look(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Read of what was received already: %v", err)
		}
		io.ReadFull(c, make([]byte, 4))
		c.SetReadDeadline(time.Unix(1, 0))
		if _, _, err := look(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a late Read: %v", err)
		}
		c.Close()
		if _, _, err := look(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read of what is closed: %v", err)
		}
	})
}

func TestRawConnWrites(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		c, _ := two(t, r, "unix")
		raw, err := c.(*UnixConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		sum := 0
		err = raw.Write(func(fd uintptr) bool {
			for {
				n, err := syscall.Write(int(fd), make([]byte, 1<<20))
				if err != nil {
					c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
					return err != syscall.EAGAIN
				}
				sum += n
			}
		})
		if !errors.Is(err, os.ErrDeadlineExceeded) || sum == 0 {
			t.Errorf("Write until it is full: %d, %v", sum, err)
		}
	})
}
