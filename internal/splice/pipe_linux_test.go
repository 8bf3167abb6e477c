//go:build linux

package splice

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// pair returns two ends of a stream, non-blocking.
func pair(t *testing.T) (int, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func TestPipeMovesBytesInOrder(t *testing.T) {
	var pool Pool
	pool.Init(1, 1<<20)
	defer pool.Close()
	pipe, err := pool.Get()
	if err != nil {
		t.Fatal(err)
	}
	from, src := pair(t)
	dst, to := pair(t)
	if n, e := pipe.Fill(src, 100); n != 0 || e != unix.EAGAIN {
		t.Errorf("Fill from nothing: %d, %v", n, e)
	}
	data := bytes.Repeat([]byte("mobius"), 5000)
	if _, err := unix.Write(from, data); err != nil {
		t.Fatal(err)
	}
	if n, e := pipe.Fill(src, 20_000); n == 0 || e != 0 || pipe.Len() != n {
		t.Fatalf("Fill: %d, %v; %d in the pipe", n, e, pipe.Len())
	}
	filled := pipe.Len()
	if n, e := pipe.Drain(dst, 7); n != 7 || e != 0 || pipe.Len() != filled-7 {
		t.Fatalf("Drain of 7: %d, %v; %d of %d are left", n, e, pipe.Len(), filled)
	}
	got := make([]byte, 10)
	if n, err := unix.Read(to, got); err != nil || !bytes.Equal(got[:n], data[:7]) {
		t.Errorf("%q, %v arrived", got[:n], err)
	}
	if rest := pipe.Rest(); !bytes.Equal(rest, data[7:filled]) || pipe.Len() != 0 {
		t.Errorf("the rest is %d bytes, %d are left", len(rest), pipe.Len())
	}
	unix.Shutdown(from, unix.SHUT_WR)
	for {
		n, e := pipe.Fill(src, 1<<20)
		if e != 0 {
			t.Fatal(e)
		}
		if n == 0 {
			break // the end
		}
		pipe.Rest()
	}
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, e := pipe.Fill(int(file.Fd()), 10); e == unix.EAGAIN {
		t.Errorf("Fill from what cannot be spliced: %v", e)
	}
	pool.Put(pipe)
}

func TestPoolKeepsItsLimit(t *testing.T) {
	var pool Pool
	pool.Init(keptIdle+2, 4096)
	var pipes []*Pipe
	for range keptIdle + 2 {
		p, err := pool.Get()
		if err != nil {
			t.Fatal(err)
		}
		pipes = append(pipes, p)
	}
	if _, err := pool.Get(); err != ErrRefused || pool.Refused() != 1 || pool.Open() != keptIdle+2 {
		t.Errorf("beyond the limit: %v; %d open, %d refused", err, pool.Open(), pool.Refused())
	}
	from, src := pair(t)
	unix.Write(from, []byte("lost"))
	if _, e := pipes[0].Fill(src, 10); e != 0 {
		t.Fatal(e)
	}
	full := pipes[0]
	for _, p := range pipes {
		pool.Put(p)
	}
	if pool.Open() != keptIdle {
		t.Errorf("%d pipes are kept, want %d", pool.Open(), keptIdle)
	}
	for range keptIdle {
		p, err := pool.Get()
		if err != nil || p == full || p.Len() != 0 {
			t.Fatalf("%v; a pipe with %d bytes in it came back", err, p.Len())
		}
	}
	pool.Close()
	if pool.Open() != 0 {
		t.Errorf("%d open after Close", pool.Open())
	}
	if _, err := pool.Get(); err != ErrRefused {
		t.Errorf("Get after Close: %v", err)
	}
}
