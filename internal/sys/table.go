package sys

import (
	"sync/atomic"

	"mobius/proactor"
)

// A Kind says what a descriptor is, which decides by which system calls bytes
// are moved.
type Kind uint8

// The kinds of descriptor.
const (
	Other    Kind = iota // a pipe, a terminal, a file: read(2) and write(2)
	Stream               // a connected or connectable stream socket
	Listener             // a listening stream socket
	Datagram             // a datagram socket
	Child                // a child process: a pidfd, or on BSDs a descriptor that stands for one
)

// An Entry is one descriptor number: its open handle, if it has one, and what
// belongs to it. Entries never move and are used again with the number. Except
// for its token and its handle an entry is the loop goroutine's.
type Entry struct {
	handle atomic.Uint64 // 0 while closed
	token  proactor.Token

	// Busy counts the reasons why the descriptor must stay open: active ops
	// and pins outstanding. It is the backend's to count; CloseFD and Detach
	// answer ErrBusy unless it is 0.
	Busy int32

	Kind       Kind
	Network    proactor.Network // of its addresses; NoNetwork if Kind is Other
	Domain     uint8            // address family of the socket, AF_…
	joins      bool             // SegmentedReceive is on
	bare       bool             // the latest RecvFrom had no Msg
	NoRead     bool             // adopted, no socket, and opened for writing only: nothing would ever be readable
	NoWrite    bool             // the reverse
	generation uint32
	listener   *listener  // what CloseFD, Refuse and Accepted need to know of a listener
	file       socketFile // of a unix datagram socket with a path
	child      *child     // of a Child

	// User is the backend's. It stays with the number when a handle is closed,
	// so that what it points to can be used again.
	User any
}

// Handle returns the open handle of the entry, 0 if it is closed.
func (e *Entry) Handle() proactor.Handle { return proactor.Handle(e.handle.Load()) }

// WrongEnd returns which side of a relay was adopted for the other direction only: it
// would be watched for ever. A side that is closed, nil, is not wrong.
func WrongEnd(src, dst *Entry) proactor.Side {
	switch {
	case src != nil && src.NoRead:
		return proactor.Source
	case dst != nil && dst.NoWrite:
		return proactor.Sink
	}
	return proactor.NoSide
}

// Table gives out handles for descriptor numbers: the number is the index, and
// every use of a number has a generation of its own. Lookup is two loads and a
// comparison.
//
// Files that have no descriptor but a place in a backend's own table (see
// [Places]) have their place, with [PlaceBit] set, for an index.
type Table struct {
	entries Chunks[Entry]
	placed  Chunks[Entry] // by place
	open    int
}

// PlaceBit is set in the index of a handle that stands for a place. No
// descriptor has such a number: the kernel's fs.nr_open is below it.
const PlaceBit = 1 << 30

// at returns the entry of an index, nil if there never was one.
func (t *Table) at(i uint32) *Entry {
	if i&PlaceBit != 0 {
		return t.placed.At(i &^ PlaceBit)
	}
	return t.entries.At(i)
}

// grow returns the entry of an index.
func (t *Table) grow(i uint32) *Entry {
	if i&PlaceBit != 0 {
		return t.placed.Grow(i &^ PlaceBit)
	}
	return t.entries.Grow(i)
}

// Open begins a generation of index fd, a descriptor's number or a place, and
// returns its entry.
func (t *Table) Open(fd int, kind Kind, network proactor.Network) *Entry {
	e := t.grow(uint32(fd))
	if e.handle.Load() != 0 {
		panic("sys: descriptor has a handle already: it was closed behind the backend's back")
	}
	e.generation++
	if e.generation == 0 {
		e.generation = 1 // 0 is no generation
	}
	h := proactor.MakeHandle(uint32(fd), e.generation)
	e.Kind, e.Network, e.Domain, e.Busy, e.joins, e.bare = kind, network, 0, 0, false, false
	e.NoRead, e.NoWrite = false, false
	e.listener, e.child, e.file = nil, nil, socketFile{}
	e.token.Open(h)
	e.handle.Store(uint64(h))
	t.open++
	return e
}

// CollectWith says why a RecvFrom with msg, which may be nil, cannot be, and
// remembers whether it has one.
func (e *Entry) CollectWith(msg *proactor.Msg) error {
	e.bare = msg == nil
	if e.bare && e.joins {
		return proactor.ErrSegments
	}
	return nil
}

// segments notes what becomes of SegmentedReceive, unless it cannot be.
func (e *Entry) segments(o *proactor.SocketOptions) error {
	switch {
	case e.Network != proactor.UDP || o.SegmentedReceive == proactor.Unset:
		return nil
	case o.SegmentedReceive == proactor.On && e.bare:
		return proactor.ErrSegments
	}
	e.joins = o.SegmentedReceive == proactor.On
	return nil
}

// Lookup returns the entry of h, nil if h is stale.
func (t *Table) Lookup(h proactor.Handle) *Entry {
	e := t.at(h.Index())
	if e == nil || h == 0 || e.handle.Load() != uint64(h) {
		return nil
	}
	return e
}

// Token returns the write token of h, nil if h is stale. Any goroutine.
func (t *Table) Token(h proactor.Handle) *proactor.Token {
	if e := t.Lookup(h); e != nil {
		return &e.token
	}
	return nil
}

// Handles returns the number of open handles.
func (t *Table) Handles() int { return t.open }

// close ends e's generation. It waits for a guest inside TryWrite.
func (t *Table) close(e *Entry) {
	e.token.End(e.Handle())
	e.handle.Store(0)
	e.listener, e.child, e.file = nil, nil, socketFile{}
	t.open--
}

// Each calls f for every open handle's entry.
func (t *Table) Each(f func(*Entry)) {
	open := func(e *Entry) {
		if e.handle.Load() != 0 {
			f(e)
		}
	}
	t.entries.All(open)
	t.placed.All(open)
}
