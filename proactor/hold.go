package proactor

import "sync/atomic"

// A Hold keeps lent bytes past the Complete that lent them. [Backend].Hold
// makes one; it belongs to the holder until Release. Bytes must not be
// written to.
type Hold struct {
	Bytes []byte  // what is held; valid until Release
	Owner Evictor // who is asked to give it back when too much is held

	// Buffer says which of the backend's buffers Bytes lies in. For backends.
	Buffer uint32

	home       *Holds
	prev, next *Hold // in the list of live holds, oldest first
	link       *Hold // in a stack of released ones, or in the pool
	released   atomic.Bool
	dropped    bool // by the loop's goroutine
}

// An Evictor holds lent bytes.
type Evictor interface {
	// Evict asks for h back because too much is held. It runs on the loop's
	// goroutine, like Complete, once per hold at most. The holder copies what
	// it still needs and calls Release: at once if no op uses the bytes, else
	// after cancelling the Send that does, on its last completion.
	Evict(h *Hold)
}

// Release gives the bytes back. It may be called from any goroutine, once;
// h must not be used afterwards.
func (h *Hold) Release() {
	if h.dropped || h.released.Swap(true) {
		panic("proactor: Hold released twice")
	}
	s := h.home
	for {
		old := s.returned.Load()
		h.link = old
		if s.returned.CompareAndSwap(old, h) {
			break
		}
	}
	if s.wanted.Load() {
		s.wake()
	}
}

// Drop is Release for the loop's goroutine, where it costs no atomic operation.
func (h *Hold) Drop() {
	if h.dropped || h.released.Load() {
		panic("proactor: Hold released twice")
	}
	h.dropped = true
	h.link, h.home.dropped = h.home.dropped, h
}

// Holds keeps account of a backend's holds: the live ones in the order in
// which they were made, and those released but not yet collected. All methods
// are for the loop's goroutine; only [Hold.Release] is not.
type Holds struct {
	wake       func()
	returned   atomic.Pointer[Hold] // a stack; emptied as a whole, so no node comes back while in use
	dropped    *Hold                // a stack of those that the loop's goroutine has released
	wanted     atomic.Bool          // a Release shall wake the loop
	head, tail *Hold
	unasked    *Hold // from here on Evict has not been called
	pool       *Hold
	n          int
}

// Init sets what a Release calls while Want(true) is in force: the backend's Wake.
func (s *Holds) Init(wake func()) { s.wake = wake }

// Len returns the number of live holds, released ones included until Collect.
func (s *Holds) Len() int { return s.n }

// New makes a hold, the youngest, on bytes of a buffer.
func (s *Holds) New(bytes []byte, buffer uint32, owner Evictor) *Hold {
	h := s.pool
	if h == nil {
		h = &Hold{home: s}
	} else {
		s.pool = h.link
	}
	h.Bytes, h.Buffer, h.Owner = bytes, buffer, owner
	h.link, h.next = nil, nil
	h.dropped = false
	if h.released.Load() {
		h.released.Store(false)
	}
	h.prev = s.tail
	if s.tail == nil {
		s.head = h
	} else {
		s.tail.next = h
	}
	s.tail = h
	if s.unasked == nil {
		s.unasked = h
	}
	s.n++
	return h
}

// Want says whether a Release from another goroutine shall wake the loop:
// true while streams wait for buffers or the loop may sleep on fewer than it
// needs. The caller collects once more after Want(true), or it may sleep on a
// release that came just before.
func (s *Holds) Want(wake bool) {
	if s.wanted.Load() != wake {
		s.wanted.Store(wake)
	}
}

// Collect takes back all holds released so far: back is told each, with Bytes
// and Buffer as they were, before h goes back to the pool.
func (s *Holds) Collect(back func(h *Hold)) {
	h := s.dropped
	s.dropped = nil
	s.collect(h, back)
	if s.returned.Load() != nil {
		s.collect(s.returned.Swap(nil), back)
	}
}

func (s *Holds) collect(h *Hold, back func(h *Hold)) {
	for h != nil {
		next := h.link
		s.unlink(h)
		back(h)
		h.Bytes, h.Owner = nil, nil
		h.link, s.pool = s.pool, h
		h = next
	}
}

// Oldest returns the oldest hold that has neither been asked to come back nor
// released, nil if there is none.
func (s *Holds) Oldest() *Hold {
	for s.unasked != nil && (s.unasked.dropped || s.unasked.released.Load()) {
		s.unasked = s.unasked.next
	}
	return s.unasked
}

// Evict asks the Oldest hold to come back, and reports whether there was one.
func (s *Holds) Evict() bool {
	h := s.Oldest()
	if h == nil {
		return false
	}
	s.unasked = h.next
	h.Owner.Evict(h)
	return true
}

func (s *Holds) unlink(h *Hold) {
	if s.unasked == h {
		s.unasked = h.next
	}
	if h.prev == nil {
		s.head = h.next
	} else {
		h.prev.next = h.next
	}
	if h.next == nil {
		s.tail = h.prev
	} else {
		h.next.prev = h.prev
	}
	h.prev, h.next = nil, nil
	s.n--
}
