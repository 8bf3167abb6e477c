//go:build linux && (amd64 || arm64)

package uring

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/internal/sys"
	"mobius/proactor"
)

// A table is the ring's table of files (Options.Direct), where streams have
// places in the stead of descriptors. Entries name a place with IOSQE_FIXED_FILE.
//
// Which place is taken is decided here, never by the kernel
// (IORING_FILE_INDEX_ALLOC): when its table is full an accept ends with ENFILE,
// and the connection that was accepted is lost.
//
//	        Put, an accept is armed              Remove, the accept ends without one
//	free ────────────────────────────▶ taken ────────────────────────────────────────▶ free
//
// What needs a descriptor gets one for a moment, by IORING_OP_FIXED_FD_INSTALL: names,
// options, shutdown(2), recvmsg(2). There are operations for some of these.
// IORING_OP_SHUTDOWN starts a thread of the kernel's, though, and those for names and for options
// know a part of them only.
type table struct {
	b       *Backend
	size    int
	free    []uint32       // the last used on top
	spare   int            // places that accepts leave to others
	waiting proactor.Queue // accepts for which there is no place
	errands uint32         // so many were made
}

// A spareShare of the places is not taken by accepts: a proxy connects for each
// connection that it has accepted.
const spareShare = 16

func (b *Backend) openTable() error {
	t := &b.table
	t.b, t.size = b, b.o.Direct
	if t.size == 0 {
		return nil
	}
	if err := b.ring.RegisterFiles(t.size); err != nil {
		return tableError(t.size, err)
	}
	t.spare = max(t.size/spareShare, 1)
	t.free = make([]uint32, t.size)
	for i := range t.free {
		t.free[i] = uint32(t.size - 1 - i)
	}
	return nil
}

// tableError says what to do about a table that cannot be had.
func tableError(size int, err error) error {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && uint64(size) > limit.Cur {
		return fmt.Errorf("Options.Direct is %d, but no ring's table may be larger than RLIMIT_NOFILE, which is %d: "+
			"raise that (ulimit -n), or use more loops, each has a table: %w", size, limit.Cur, err)
	}
	return fmt.Errorf("Options.Direct is %d: %w", size, err)
}

// take returns a free place, if more than spare are free.
func (t *table) take(spare int) (place uint32, ok bool) {
	last := len(t.free) - 1
	if last < spare {
		return 0, false
	}
	place, t.free = t.free[last], t.free[:last]
	return place, true
}

func (t *table) give(place uint32) { t.free = append(t.free, place) }

// Put implements sys.Places.
func (t *table) Put(fd int) (uint32, error) {
	place, ok := t.take(0)
	if !ok {
		return 0, fmt.Errorf("all %d places of the ring's table are taken (Options.Direct): %w", t.size, unix.ENFILE)
	}
	if err := t.b.ring.UpdateFile(int(place), fd); err != nil {
		t.give(place)
		return 0, err
	}
	return place, nil
}

// Remove implements sys.Places. A place that the kernel does not empty, which
// it always does, is not used again.
func (t *table) Remove(place uint32) {
	err := t.b.ring.UpdateFile(int(place), -1)
	invariant.Assert(err == nil, "uring: place %d: %v", place, err)
	if err == nil {
		t.give(place)
	}
}

// An errand is made this often before it is given up.
const errandTries = 100

// Install implements sys.Places: an entry of its own, which the kernel does at
// once, and whose completion is looked for. Others that come first are put
// aside, and keep their order.
func (t *table) Install(place uint32) (int, error) {
	b := t.b
	t.errands++
	user := userData(kindErrand, 0, t.errands)
	asked := false
	for try := range errandTries {
		if !asked {
			if e := b.entry(); e != nil {
				e.PrepInstall(int(place), user)
				asked = true
			}
		}
		b.publish()
		b.stats.Enters++
		_, err := b.ring.Submit()
		if try > 0 && err == nil {
			_, err = b.ring.Wait(0, 0) // the completion found no room in the queue
		}
		if c, ok := b.ring.putAside(user); ok {
			return result(c)
		}
		if err != nil {
			b.ring.pause(time.Millisecond)
		}
	}
	return -1, unix.EAGAIN // dispatch closes what still comes
}

func result(c CQE) (int, error) {
	if c.Res < 0 {
		return -1, syscall.Errno(-c.Res)
	}
	return int(c.Res), nil
}

// kept returns the place that an accept keeps for its next connection.
func (s *slot) kept() (place uint32, ok bool) {
	return uint32(s.vector - 1), s.role == accepting && s.vector != 0
}

// keep is kept's place.
func (s *slot) keep(place uint32) { s.vector = int32(place) + 1 }

// keepNone: the place is the connection's, or free.
func (s *slot) keepNone() { s.vector = 0 }

// admit reports whether the accept of s has a place for a connection, or gets
// one; else it waits for one to be free.
func (b *Backend) admit(op *proactor.Op, s *slot) bool {
	if _, ok := s.kept(); ok {
		return true
	}
	place, ok := b.table.take(b.table.spare)
	if !ok {
		b.table.waiting.Push(op)
		return false
	}
	s.keep(place)
	return true
}

// admitWaiting arms the accepts that have waited for a place.
func (b *Backend) admitWaiting() {
	t := &b.table
	for n := t.waiting.Len(); n > 0 && len(t.free) > t.spare; n-- {
		b.arm(t.waiting.Pop())
	}
}

// leavePlace gives back the place that an accept has not used.
func (b *Backend) leavePlace(s *slot) {
	if place, ok := s.kept(); ok {
		b.table.give(place)
		s.keepNone()
	}
}

// prepareAccept accepts one connection. Of a multishot nobody could tell the
// peers' addresses, and each would need a place before it is known that it comes.
func (b *Backend) prepareAccept(op *proactor.Op, s *slot, e *SQE, fd int) {
	place, _ := s.kept()
	e.PrepAcceptDirect(fd, int(place), unix.SOCK_NONBLOCK, s.user)
	if op.Addr == nil {
		return
	}
	d := descriptorOf(b.Lookup(op.Handle))
	if d.peer == nil {
		d.peer = &sys.RawAddr{}
	}
	d.peer.Reset()
	e.wantPeer(&d.peer.Any, &d.peer.Len)
}

// acceptedAt delivers a connection that has a place.
func (b *Backend) acceptedAt(s *slot) {
	op := s.op
	place, _ := s.kept()
	s.keepNone()
	raw := descriptorOf(b.Lookup(op.Handle)).peer
	if op.Addr == nil {
		raw = nil
	}
	h, peer, ok := b.AcceptedAt(b.Lookup(op.Handle), place, raw)
	b.after.op = op
	b.deliverAccepted(op, h, peer, ok)
}

// aim has e work on a place, if its descriptor stands for one.
func aim(e *SQE) {
	if e.Fd >= sys.PlaceBit {
		e.Fd &^= sys.PlaceBit
		e.Flags |= IOSQE_FIXED_FILE
	}
}

// placed reports whether h stands for a place.
func placed(h proactor.Handle) bool { return h.Index()&sys.PlaceBit != 0 }
