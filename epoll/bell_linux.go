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
	"mobius/proactor"
)

// A backend is what OpenParked returns.
type backend struct {
	*ready.Backend
	bell *bell
}

// Bell implements proactor.Ringer.
func (b *backend) Bell() proactor.Bell { return b.bell }

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
// search for work, and its sleep: docs/decisions/0007-bells.md.
type bell struct {
	file  *os.File
	conn  syscall.RawConn
	alone bool // there is one P: nobody else is ever woken
	base  time.Time

	taken atomic.Bool
	rung  atomic.Bool
	at    atomic.Int64 // when it was rung, since base
	rest  atomic.Int64 // until then nobody takes it; 0: anybody may

	heard func(uintptr) bool // b.rung, taken back
	ring  func(uintptr)
}

// A bell that is heard so late has been rung while all Ps were busy: the runtime looks
// at its poller every 10 ms then, and a channel is faster. It rests for a
// time in proportion.
const (
	late     = time.Millisecond
	restsFor = 10 // times what it was late
)

var _ proactor.Bell = (*bell)(nil)

func newBell() (*bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	b := &bell{file: os.NewFile(uintptr(fd), "eventfd"), alone: runtime.GOMAXPROCS(0) == 1, base: time.Now()}
	b.heard = func(uintptr) bool { return b.rung.CompareAndSwap(true, false) }
	b.ring = func(fd uintptr) {
		one := uint64(1) // each write is an edge, so it is never read; 2^64-2 of them are too many to be made
		_, _, _ = unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
	}
	if b.conn, err = b.file.SyscallConn(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// Take implements proactor.Bell.
func (b *bell) Take() bool {
	if b.alone || !b.taken.CompareAndSwap(false, true) {
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

// Wait implements proactor.Bell. The poller calls heard before it parks the
// goroutine, and whenever it has woken it; a write between the two is an edge that it keeps.
func (b *bell) Wait() {
	if b.conn.Read(b.heard) == nil {
		if now := b.now(); now-b.at.Load() > int64(late) {
			b.rest.Store(now + restsFor*(now-b.at.Load()))
		}
	}
	b.taken.Store(false)
}

// Ring implements proactor.Bell. Control keeps the number from being another's.
func (b *bell) Ring() {
	b.at.Store(b.now())
	b.rung.Store(true)
	_ = b.conn.Control(b.ring) // an error means that it is closed, which ends the Wait
}

func (b *bell) now() int64 { return int64(time.Since(b.base)) }

func (b *bell) close() { _ = b.file.Close() }
