//go:build linux && (amd64 || arm64)

package uring

import (
	"math"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/internal/splice"
	"mobius/internal/sys"
	"mobius/proactor"
)

// A Backend performs operations through one ring. See proactor.Backend for
// what its methods do.
type Backend struct {
	sys.Sockets
	o      Options
	choice choice

	phase phase
	cause error // of broken
	tid   int   // of the owner

	ring     *Ring
	slots    slots
	inflight int      // armed slots, and the waker's poll
	cancels  []uint64 // cancels that found no room in the queue: user data of their targets
	scratch  []cell   // per submission entry
	cells    []byte   // what scratch lies in
	raw      sys.RawAddr
	page     []byte // what descriptors that are no sockets are read into

	waiting  proactor.Queue // ops that found no room in the submission queue
	finished proactor.Queue // ops that ended without the kernel; N and Err are set

	table table

	memory  []region // registered, in order
	notices notices

	pools  []*pool
	holds  proactor.Holds
	back   func(*proactor.Hold) // bound once
	pinned int                  // buffers that only holds keep from the kernel, of relays that stall too
	asked  int                  // of those, how many are being given back
	cap    int                  // largest pinned - asked
	fresh  []uint32             // buffers that a relay's receive has filled in this round
	older  []uint32             // and in the one before

	mail    mail
	sack    sack
	inbox   sys.Message // for receives by system calls
	letter  []byte      // what datagrams are received into by those
	letters *letter     // unused ones

	lanes     map[way]*lane // those in use
	idleLanes *lane
	due       []*outbox // UDP sockets that have something to send
	bundle    sys.Bundle

	pipes   splice.Pool
	stalled []*relay // relays that found no room in the submission queue
	moved   bool     // a relay moved bytes in this round, or memory was given back
	prompt  bool     // a send is pending, which most probably completes at once
	clock   time.Duration
	ticking bool // clock is this round's time
	yielder sys.Yielder
	spinner sys.Spinner
	news    func() bool // there is something to enter for
	bytes   uint64      // of all results

	after   after
	waker   waker
	wakeup  bool // the waker's poll is armed
	workers sys.Workers
	working int // OpWorks under way
	ops     int // active ops

	start time.Time
	stats proactor.Stats
}

var _ proactor.Backend = (*Backend)(nil)

// A phase is where a Backend is in its life.
//
//	       first Poll        Close
//	opened ─────────▶ polled ─────▶ shut
//	                    │             ▲
//	                    ▼    Close    │
//	                  broken ─────────┘    the kernel lost completions, or refuses the ring
type phase uint8

const (
	opened phase = iota
	polled
	broken
	shut
)

// A cell is memory outside the Go heap that belongs to one submission entry,
// for what the kernel reads when it takes the entry.
type cell struct {
	message Message
	vectors [cellVectors]Vector
}

const cellVectors = 64

// after is what remains to be done once the Complete under way has returned. It
// stands in the Backend so that it is done even if Complete panics.
type after struct {
	op      *proactor.Op // the kernel ended its part of op, which must go on or be ended
	recv    *proactor.Op // its Buf is lent
	lent    []byte
	buffer  uint32 // that lent lies in
	held    bool
	control []byte        // lent beside it
	pin     *proactor.Pin // whose memory is to be given back
	copied  bool          // that was copied
}

// Name implements proactor.Backend.
func (b *Backend) Name() string { return "uring" }

// WriteFrom implements proactor.Backend.
func (b *Backend) WriteFrom() int {
	if b.table.size > 0 {
		return math.MaxInt // no system call reaches what has no descriptor
	}
	return b.o.WriteFrom
}

// Affinity implements proactor.Backend: the ring is set up for a single
// issuer, which is a thread, and completions are its deferred task work.
func (b *Backend) Affinity() proactor.Affinity { return proactor.OneThread }

// Now implements proactor.Backend.
func (b *Backend) Now() time.Duration { return time.Since(b.start) }

// Alarm implements proactor.Backend.
func (b *Backend) Alarm(d time.Duration, f func()) (stop func()) {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

// Wake implements proactor.Backend.
func (b *Backend) Wake() { b.waker.wake() }

// Stats implements proactor.Backend.
func (b *Backend) Stats() proactor.Stats {
	if b.phase != shut {
		b.holds.Collect(b.back)
		b.mail.holds.Collect(b.mail.back)
	}
	s := b.stats
	s.PeerGone, s.Refused = b.PeerGone, b.Refused
	s.Ops = b.ops
	s.Holds, s.Handles = b.holds.Len()+b.mail.holds.Len(), b.Handles()
	s.Pipes = b.pipes.Open()
	s.Direct = b.table.size - len(b.table.free)
	s.Pins = b.notices.used
	for _, p := range b.pools {
		s.Lent += len(p.buffers) - p.avail
	}
	if p := b.mail.pool; p != nil {
		s.Lent += len(p.buffers) - p.avail
	}
	return s
}

// Choice says what of io_uring this backend uses, and why not more.
func (b *Backend) Choice() []Choice { return b.choice.list() }

func (b *Backend) mapCells() error {
	sq, _ := b.ring.Entries()
	size := sq * int(unsafe.Sizeof(cell{}))
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	b.cells = m
	b.scratch = unsafe.Slice((*cell)(unsafe.Pointer(unsafe.SliceData(m))), sq)
	return nil
}
