//go:build linux && (amd64 || arm64)

package uring

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/internal/testenv"
	"mobius/proactor"
)

// rawDial returns a blocking socket connected to an address of this host, for
// clients that shall not allocate.
func rawDial(t testing.TB, a proactor.Address) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	to := &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.IP().As4()}
	if err := testenv.Again(func() error { return unix.Connect(fd, to) }); err != nil {
		t.Fatal(err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	return fd
}

// pingRaw sends and receives n messages.
func pingRaw(fd int, message, back []byte, n int) bool {
	for range n {
		_, err := unix.Write(fd, message)
		for err == unix.EINTR {
			_, err = unix.Write(fd, message)
		}
		if err != nil {
			return false
		}
		for got := 0; got < len(message); {
			k, err := unix.Read(fd, back[got:])
			if err == unix.EINTR {
				continue
			}
			if k <= 0 || err != nil {
				return false
			}
			got += k
		}
	}
	return true
}

// mallocsDuring runs a client for n messages on a thread of its own while b is
// polled, and returns how many allocations that took.
func mallocsDuring(t *testing.T, b *Backend, fd, n int) uint64 {
	t.Helper()
	message, back := make([]byte, 64), make([]byte, 64)
	var state atomic.Int32
	run := func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		ok := pingRaw(fd, message, back, n)
		state.Store(2)
		if !ok {
			state.Store(3)
		}
		b.Wake()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	go run()
	for state.Load() == 0 {
		if err := b.Poll(time.Second); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if state.Load() != 2 {
		t.Fatal("the client failed")
	}
	return after.Mallocs - before.Mallocs
}

func TestSteadyEchoAllocatesNothing(t *testing.T) {
	if invariant.Enabled {
		t.Skip("lent bytes are heap copies when invariants are compiled in")
	}
	for _, c := range configs[:4] {
		t.Run(c.name, func(t *testing.T) {
			b := openTest(t, c.o)
			s := serve(t, b)
			fd := rawDial(t, s.address)
			mallocsDuring(t, b, fd, 1000)
			n := 100_000
			if testing.Short() {
				n = 10_000
			}
			if got := mallocsDuring(t, b, fd, n); got > 10 {
				t.Errorf("%d allocations in %d echoes", got, n)
			}
		})
	}
}

// A relayed chunk allocates nothing either: client → relay → echo → relay → client.
func TestSteadyRelayAllocatesNothing(t *testing.T) {
	if invariant.Enabled {
		t.Skip("lent bytes are heap copies when invariants are compiled in")
	}
	b := openTest(t, Options{})
	p := relayTo(t, b, serve(t, b).address)
	fd := rawDial(t, p.address)
	mallocsDuring(t, b, fd, 1000)
	if got := mallocsDuring(t, b, fd, 50_000); got > 10 {
		t.Errorf("%d allocations in 100,000 relayed chunks", got)
	}
}

func TestEchoOfOneTakesTwoEnters(t *testing.T) {
	b := openTest(t, Options{})
	s := serve(t, b)
	fd := rawDial(t, s.address)
	mallocsDuring(t, b, fd, 100)
	before := b.Stats().Enters
	const n = 5000
	mallocsDuring(t, b, fd, n)
	if got := float64(b.Stats().Enters-before) / n; got > 2.2 {
		t.Errorf("%.2f enters for each echo", got)
	}
}

// An awake loop is not written to; a sleeping one once.
func TestWakeOfAnAwakeLoopCostsNothing(t *testing.T) {
	b := openTest(t, Options{})
	if err := b.Poll(0); err != nil {
		t.Fatal(err)
	}
	written := func() int {
		var p [8]byte
		if n, _ := unix.Read(b.waker.fd, p[:]); n != 8 {
			return 0
		}
		return int(p[0])
	}
	for range 1000 {
		b.Wake()
	}
	if n := written(); n != 0 {
		t.Errorf("%d writes to wake a loop that is awake", n)
	}
	start := time.Now()
	if err := b.Poll(time.Minute); err != nil || time.Since(start) > 40*time.Second {
		t.Errorf("the next Poll waits %v (%v)", time.Since(start), err)
	}
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		for b.waker.state.Load() != sleeping {
			runtime.Gosched()
		}
		for range 1000 {
			b.Wake()
		}
	}()
	if err := b.Poll(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	<-woken
	if n := written(); n > 2 {
		t.Errorf("%d writes to wake a loop that sleeps", n)
	}
}

func TestWakeAfterCloseDoesNothing(t *testing.T) {
	for range 20 {
		b := openTest(t, Options{})
		if err := b.Poll(0); err != nil {
			t.Fatal(err)
		}
		stop, over := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(over)
			for {
				select {
				case <-stop:
					return
				default:
					b.Wake()
				}
			}
		}()
		for range 10 {
			_ = b.Poll(time.Millisecond)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		// the eventfd's number is somebody else's now
		fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
		close(stop)
		<-over
		var p [8]byte
		if n, _ := unix.Read(fd, p[:]); n == 8 {
			t.Fatal("a Wake after Close wrote to a descriptor that is not its own")
		}
		_ = unix.Close(fd)
	}
}

// Signals end system calls early all the time; nothing may come of it.
func TestSignalStorm(t *testing.T) {
	b := openTest(t, Options{})
	s := serve(t, b)
	tid := unix.Gettid()
	stop := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				_ = unix.Tgkill(os.Getpid(), tid, syscall.SIGURG)
				runtime.GC()
			}
		}
	}()
	done, result := background(b, 8, func(i int) error { return ping(s.addr, uint64(i), 1<<20) })
	until(t, b, "8 echoes under a storm of signals", func() bool { return done() && len(s.conns) == 0 })
	close(stop)
	<-over
	if err := result(); err != nil {
		t.Fatal(err)
	}
}

// Ordinary traffic, with peers that do not read for a while, starts no worker
// threads of the kernel's.
func TestNoWorkerThreads(t *testing.T) {
	b := openTest(t, Options{})
	s := serve(t, b)
	done, result := background(b, 20, func(i int) error {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			return err
		}
		defer c.Close()
		big := make([]byte, 4<<20)
		go func() { _, _ = c.Write(big); _ = c.(*net.TCPConn).CloseWrite() }()
		buf := make([]byte, 1000+i*3000)
		for got := 0; got < len(big); {
			n, err := c.Read(buf)
			if err != nil {
				return err
			}
			got += n
		}
		return nil
	})
	until(t, b, "slow readers are served", func() bool { return done() && len(s.conns) == 0 })
	if err := result(); err != nil {
		t.Fatal(err)
	}
	if w := workerThreads(); w != 0 {
		t.Errorf("%d worker threads", w)
	}
}

func workerThreads() (n int) {
	names, _ := filepath.Glob("/proc/self/task/*/comm")
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(b), "iou-wrk") {
			n++
		}
	}
	return n
}

// A Wake ends a look for completions as it ends a wait.
func TestWakeEndsALook(t *testing.T) {
	b := openTest(t, Options{Spin: time.Minute})
	if err := b.Poll(0); err != nil {
		t.Fatal(err)
	}
	looking := make(chan struct{})
	news := b.news
	var once sync.Once
	b.news = func() bool {
		once.Do(func() { close(looking) })
		return news()
	}
	go func() {
		<-looking
		b.Wake()
	}()
	soon(t, "it was woken", func() { _ = b.Poll(2 * time.Minute) })
	if woken := b.Stats().Woken; woken != 1 {
		t.Errorf("%d Polls were woken", woken)
	}
}
