//go:build linux && (amd64 || arm64)

package uring

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// into adds what tests have asked for.
func (o *Options) into(s Setup) Setup {
	s.fail = o.inject
	if o.fake != nil {
		s.fake = o.fake()
	}
	return s
}

// backends counts backends, to spread their registered rings over the indices of
// a thread's table: a Poll from another backend's thread then meets an empty place.
var backends atomic.Uint32

// Open returns a backend, after having tried on a pair of sockets whether the
// kernel does what it needs. Errors that mean that io_uring cannot be used here are
// [ErrUnavailable]. The ring starts with the first Poll, whose thread owns it.
func Open(o Options) (*Backend, error) {
	o = o.withDefaults()
	if o.Direct < 0 {
		return nil, fmt.Errorf("Options.Direct is %d, want 0 or more: %w", o.Direct, unix.EINVAL)
	}
	if err := o.checkMemory(); err != nil {
		return nil, err
	}
	c, err := examine(o)
	if err != nil {
		return nil, err
	}
	b := &Backend{o: o, choice: c, start: time.Now()}
	b.spinner.Fixed = o.Spin
	b.news = func() bool { return b.ring.TaskRun() || b.waker.state.Load() == woken }
	b.choice.index = int(backends.Add(1))
	b.waker.fd = -1
	if err := b.open(); err != nil {
		return nil, errors.Join(unavailable(err), b.dispose())
	}
	return b, nil
}

func (b *Backend) open() (err error) {
	b.ring, err = NewRing(b.o.into(Setup{Entries: b.o.Entries, CQEntries: b.o.CQEntries,
		Flags: b.choice.setup&^IORING_SETUP_NO_SQARRAY | IORING_SETUP_R_DISABLED, Optional: b.choice.setup & IORING_SETUP_NO_SQARRAY}))
	if err != nil {
		return err
	}
	if b.choice.noIOWait {
		b.choice.noIOWait = b.ring.NoIOWait()
	}
	if err := b.openPools(); err != nil {
		return err
	}
	if err := b.openMail(); err != nil {
		return err
	}
	if err := b.openTable(); err != nil {
		return err
	}
	if err := b.openMemory(); err != nil {
		return err
	}
	if err := b.mapCells(); err != nil {
		return fmt.Errorf("map scratch memory: %w", err)
	}
	if !b.o.Unrestricted {
		without := b.o.Without
		if b.table.size == 0 {
			without = append([]Feature{directFiles}, without...)
		}
		if b.o.ZeroCopy == 0 {
			without = append([]Feature{zeroCopySends}, without...)
		}
		if err := b.ring.Restrict(allowList(without)); err != nil {
			return err
		}
	}
	if err := b.waker.open(); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	b.holds.Init(b.Wake)
	b.back = b.unheld
	b.initPipes()
	b.workers.Init(b.o.Workers, b.o.WorkQueue, b.Wake)
	return b.Sockets.Init()
}

func (b *Backend) openPools() error {
	total := 0
	add := func(n, size int) error {
		p, err := newPool(b.ring, uint16(1+len(b.pools)), n, size, b.choice.incremental)
		if err == nil {
			p.frugal()
			b.pools = append(b.pools, p)
			total += n
		}
		return err
	}
	switch n, size := b.o.Buffers, b.o.BufferSize; {
	case n > 0 || size > 0 || b.choice.incremental:
		if n <= 0 {
			n = 32
		}
		if size <= 0 {
			size = 256 << 10
		}
		if err := add(n, size); err != nil {
			return err
		}
		b.pools[0].reserve = n / 8
	default:
		for _, c := range classes {
			if err := add(c.n, c.size); err != nil {
				return err
			}
		}
	}
	if b.cap = b.o.Holds; b.cap <= 0 {
		b.cap = max(total/2, 1)
	}
	return nil
}

// leaked keeps what the kernel may still look at after a Close that gave up,
// for as long as the process lives.
var leaked atomic.Pointer[leak]

type leak struct {
	b    *Backend
	next *leak
}

// Close implements proactor.Backend. If the kernel does not let go within
// Options.CloseTimeout, what it may still read or write stays mapped, and Close says so.
func (b *Backend) Close() error {
	if b.phase == shut {
		return nil
	}
	if b.tid != 0 && unix.Gettid() != b.tid {
		return proactor.ErrWrongThread
	}
	enabled := b.tid != 0
	b.phase = shut
	b.workers.Close()
	var err error
	if enabled && b.inflight > 0 {
		err = b.tearDown()
	}
	b.dropOps()
	if err != nil {
		for l := (&leak{b: b}); ; {
			if l.next = leaked.Load(); leaked.CompareAndSwap(l.next, l) {
				break
			}
		}
		b.waker.close()
		b.CloseAll()
		return errors.Join(err, b.ring.Close())
	}
	b.releaseAll()
	return b.dispose()
}

// tearDown cancels everything and waits for the last completions.
func (b *Backend) tearDown() error {
	end := time.Now().Add(b.o.CloseTimeout)
	patience := b.o.CloseTimeout / 2
	b.cancelEverything()
	for b.inflight > 0 {
		for c, ok := b.ring.NextCQE(); ok; c, ok = b.ring.NextCQE() {
			b.bury(c)
		}
		if b.inflight == 0 {
			break
		}
		left := time.Until(end)
		if left <= 0 || b.ring.Dropped() != 0 {
			return fmt.Errorf("close: the kernel did not let go of %d operations within %v: their memory stays mapped",
				b.inflight, b.o.CloseTimeout)
		}
		if left < patience {
			b.disconnectOwing(func(*notice) bool { return true })
		}
		if _, err := b.ring.Wait(1, min(left, 50*time.Millisecond)); err != nil {
			b.ring.pause(time.Millisecond)
		}
		if b.ring.Ready() == 0 {
			b.cancelEverything() // what was not in flight yet when it was asked before
		}
	}
	return nil
}

func (b *Backend) cancelEverything() {
	if e := b.ring.NextSQE(); e != nil {
		e.PrepCancelAll(userData(kindCancel, 0, 0))
	}
}

// bury accounts for a completion that comes after the end.
func (b *Backend) bury(c CQE) {
	if c.UserData>>kindShift == kindCancel {
		return
	}
	if !c.More() {
		b.inflight--
	}
	if kind := c.UserData >> kindShift; kind == kindMail || kind == kindMailControl {
		b.dropMail(c)
	}
	s := b.slots.find(c.UserData)
	if s != nil && s.role == sending && c.UserData>>kindShift == kindZeroCopy && c.More() {
		b.owe(s, int(c.Res)) // so that disconnectOwing finds its stream
	}
	if s != nil && s.role == accepting && c.Res >= 0 {
		place, ok := s.kept()
		if !ok {
			_ = unix.Close(int(c.Res))
			return
		}
		b.table.Remove(place)
		s.keepNone()
	}
}

// dropOps makes every op its owner's again, without completing it.
func (b *Backend) dropOps() {
	b.slots.each(func(s *slot) {
		if s.role == drawing {
			s.relay.putPipe()
		}
		b.dropLetter(s)
		b.leavePlace(s)
		if s.op != nil {
			b.drop(s.op)
		}
	})
	for op := b.finished.Pop(); op != nil; op = b.finished.Pop() {
		b.drop(op)
	}
}

func (b *Backend) drop(op *proactor.Op) {
	if op.B.Where != nil {
		op.B.Where.Remove(op)
	}
	op.B.State = proactor.Idle
	b.ops = 0
}

// dispose frees everything; nothing is in flight.
func (b *Backend) dispose() (err error) {
	b.phase = shut
	for _, p := range b.pools {
		err = errors.Join(err, p.close())
	}
	if len(b.memory) > 0 {
		_ = b.ring.UnregisterMemory() // 6.1 answers EINTR; the end of the ring does it, too, only later
	}
	if b.mail.pool != nil {
		err = errors.Join(err, b.mail.pool.close())
	}
	b.pipes.Close()
	if b.cells != nil {
		err = errors.Join(err, unix.Munmap(b.cells))
	}
	b.cells, b.scratch = nil, nil
	if b.waker.fd >= 0 {
		b.waker.close()
	}
	b.CloseAll()
	if b.ring != nil {
		err = errors.Join(err, b.ring.Close())
	}
	runtime.KeepAlive(b.slots.chunks)
	return err
}
