//go:build linux

package epoll

import (
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/internal/ready"
	"mobius/internal/sys"
	"mobius/proactor"
)

// A backend is what OpenParked returns.
type backend struct {
	*ready.Backend
	bell *bell
}

// Bell implements proactor.Ringer.
func (b *backend) Bell() proactor.Bell { return b.bell }

// Poll implements proactor.Backend.
func (b *backend) Poll(timeout time.Duration) error {
	err := b.Backend.Poll(timeout)
	b.bell.work.Store(b.Work())
	return err
}

// Close implements proactor.Backend.
func (b *backend) Close() error {
	err := b.Backend.Close()
	if err != proactor.ErrWrongThread {
		b.bell.close()
	}
	return err
}

// A bell is an eventfd in the runtime's network poller. One write(2) and one more
// look of the poller take the place of a futex(2) that wakes another thread, its
// search for work, and its sleep: docs/decisions/0007-bells.md. With one P nobody
// else is ever woken, and it is a channel.
//
// Whoever waits for it looks for events of the loop before it sleeps, where that is
// cheaper: docs/decisions/0014-looking-before-sleeping.md.
type bell struct {
	file *os.File
	conn syscall.RawConn
	ch   chan struct{} // in the eventfd's place, with one P
	base time.Time

	taken atomic.Bool
	rung  atomic.Bool
	at    atomic.Int64 // when it was rung, since base
	rest  atomic.Int64 // until then nobody takes it; 0: anybody may

	loop    syscall.RawConn // the epoll instance that the loop waits for
	work    atomic.Uint64   // done by the loop, as sys.Work counts
	spinner sys.Spinner     // of whoever has taken the bell
	busy    bool            // the last look has seen events

	// Bound once:
	heard func(uintptr) bool // rung, taken back
	ring  func(uintptr)
	peek  func(uintptr)
	look  func() bool
}

// A bell that is heard so late has been rung while all Ps were busy: the runtime looks
// at its poller every 10 ms then, and a channel is faster. It rests for a
// time in proportion.
const (
	late     = time.Millisecond
	restsFor = 10 // times what it was late
)

// spinMargin is what it may cost to look: a goroutine that waits by itself waits for an
// answer most of the time, and has it in half of the time (bench/RESULTS.md).
const spinMargin = 1.25

var _ proactor.Bell = (*bell)(nil)

// newBell returns the bell of a loop that waits for an epoll instance.
func newBell(loop syscall.RawConn, spin time.Duration) (*bell, error) {
	b := &bell{base: time.Now(), loop: loop, spinner: sys.Spinner{Fixed: spin, Roams: true, Margin: spinMargin}}
	b.heard = func(uintptr) bool { return b.rung.CompareAndSwap(true, false) }
	b.peek = func(fd uintptr) { b.busy = readable(fd) }
	b.look = b.lookOnce
	b.ring = func(fd uintptr) {
		one := uint64(1) // each write is an edge, so it is never read; 2^64-2 of them are too many to be made
		_, _, _ = unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
	}
	if runtime.GOMAXPROCS(0) == 1 {
		b.ch = make(chan struct{}, 1)
		return b, nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	b.file = os.NewFile(uintptr(fd), "eventfd")
	if b.conn, err = b.file.SyscallConn(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// readable reports whether an epoll instance has events, and leaves them there.
func readable(fd uintptr) bool {
	p := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	var now unix.Timespec
	n, _, _ := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return n == 1
}

// lookOnce reports whether the loop has something to do, or has done it.
func (b *bell) lookOnce() bool {
	return b.rung.Load() || b.loop.Control(b.peek) != nil || b.busy
}

// Take implements proactor.Bell.
func (b *bell) Take() bool {
	if !b.taken.CompareAndSwap(false, true) {
		return false
	}
	if rest := b.rest.Load(); rest != 0 {
		if b.now() < rest {
			b.taken.Store(false)
			return false
		}
		b.rest.Store(0)
	}
	return true
}

// Wait implements proactor.Bell.
func (b *bell) Wait() {
	b.spinner.Spin(-1, b.work.Load(), 1, b.look)
	if b.ch != nil {
		<-b.ch
		b.rung.Store(false)
	} else {
		b.waitPolled()
	}
	b.taken.Store(false)
}

// waitPolled waits in the runtime's poller, which calls heard before it parks the
// goroutine, and whenever it has woken it; a write between the two is an edge that it keeps.
func (b *bell) waitPolled() {
	if b.conn.Read(b.heard) == nil {
		if now := b.now(); now-b.at.Load() > int64(late) {
			b.rest.Store(now + restsFor*(now-b.at.Load()))
		}
	}
}

// Ring implements proactor.Bell. Control keeps the number from being another's.
func (b *bell) Ring() {
	b.at.Store(b.now())
	b.rung.Store(true)
	if b.ch != nil {
		b.send()
	} else {
		_ = b.conn.Control(b.ring) // an error means that it is closed, which ends the Wait
	}
}

// send ends the wait for a channel. It is full only where close was first.
func (b *bell) send() {
	select {
	case b.ch <- struct{}{}:
	default:
	}
}

func (b *bell) now() int64 { return int64(time.Since(b.base)) }

func (b *bell) close() {
	if b.ch != nil {
		b.send()
	} else {
		_ = b.file.Close()
	}
}
