package compat

import (
	"io"
	"math/bits"
)

// inbound is what was received and not read: first what was left by earlier
// calls of the handler, then what is lent during this one.
type inbound struct {
	el   *eventLoop
	kept []byte // a part of store
	lent []byte // its capacity reaches to the end of el.whole
	// store is the memory of kept. It changes place only between calls of the
	// handler, or to larger memory: what Peek has returned stays.
	store []byte
}

// InboundBuffered returns how many bytes are there.
func (in *inbound) InboundBuffered() int { return len(in.kept) + len(in.lent) }

// Next returns the next n bytes and takes them off; see [Reader].
func (in *inbound) Next(n int) ([]byte, error) {
	b, err := in.Peek(n)
	in.advance(len(b))
	return b, err
}

// Peek returns the next n bytes; see [Reader].
func (in *inbound) Peek(n int) ([]byte, error) {
	have := len(in.kept) + len(in.lent)
	if n > have {
		return nil, io.ErrShortBuffer
	}
	if n <= 0 {
		n = have
	}
	if len(in.kept) == 0 {
		in.el.lend(in.lent, n)
		return in.lent[:n:n], nil
	}
	if more := n - len(in.kept); more > 0 { // it spans
		in.grow(in.lent[:more])
		in.lent = in.lent[more:]
	}
	return in.kept[:n:n], nil
}

// Discard takes n bytes off; see [Reader].
func (in *inbound) Discard(n int) (int, error) {
	if have := in.InboundBuffered(); n <= 0 || n > have {
		n = have
	}
	in.advance(n)
	return n, nil
}

func (in *inbound) advance(n int) {
	k := min(n, len(in.kept))
	in.kept = in.kept[k:]
	in.lent = in.lent[n-k:]
}

// Read copies what is there; see [Reader].
func (in *inbound) Read(p []byte) (int, error) {
	n := copy(p, in.kept)
	n += copy(p[n:], in.lent)
	if n == 0 && len(p) > 0 {
		return 0, io.ErrShortBuffer
	}
	in.advance(n)
	return n, nil
}

// WriteTo writes all that is there to w; see [Reader].
func (in *inbound) WriteTo(w io.Writer) (n int64, err error) {
	for err == nil && in.InboundBuffered() > 0 {
		piece := in.kept
		if len(piece) == 0 {
			piece = in.lent
			in.el.lend(piece, len(piece))
			piece = piece[:len(piece):len(piece)]
		}
		var m int
		m, err = w.Write(piece)
		if m < len(piece) && err == nil {
			err = io.ErrShortWrite
		}
		in.advance(m)
		n += int64(m)
	}
	return n, err
}

// keep copies what the handler has left of the lent bytes, and gives memory
// back that is not needed. It is called when the handler has returned.
func (in *inbound) keep() {
	switch {
	case len(in.lent) > 0:
		if len(in.kept) > 0 && cap(in.kept)-len(in.kept) < len(in.lent) && len(in.kept)+len(in.lent) <= len(in.store) {
			in.kept = in.store[:copy(in.store, in.kept)] // nobody looks at it now
		}
		in.grow(in.lent)
		in.lent = nil
	case len(in.kept) == 0 && in.store != nil:
		in.el.memory.put(in.store)
		in.store, in.kept = nil, nil
	}
}

// grow appends p to what is kept.
func (in *inbound) grow(p []byte) {
	if len(in.kept) == 0 && len(p) <= len(in.store) {
		in.kept = in.store[:0]
	}
	if cap(in.kept)-len(in.kept) < len(p) {
		store := in.el.memory.get(len(in.kept) + len(p))
		in.kept = store[:copy(store, in.kept)]
		in.store = store // what was there before may be looked at: it is left to the collector
	}
	in.kept = append(in.kept, p...)
}

// drop forgets everything.
func (in *inbound) drop() {
	in.lent, in.kept = nil, nil
	in.keep()
}

// The classes of a loop's memory: powers of two.
const (
	smallest    = 12 // 4 KiB
	largest     = 16 // 64 KiB; larger pieces are not used again
	mostOfClass = 64
)

// memory is what a loop's connections keep unread bytes in.
type memory [largest - smallest + 1][][]byte

// get returns n bytes or more.
func (m *memory) get(n int) []byte {
	class := max(bits.Len(uint(n-1)), smallest)
	if class > largest {
		return make([]byte, 1<<class)
	}
	free := &m[class-smallest]
	if len(*free) == 0 {
		return make([]byte, 1<<class)
	}
	last := len(*free) - 1
	b := (*free)[last]
	(*free)[last] = nil
	*free = (*free)[:last]
	return b
}

// put gives back what get has returned.
func (m *memory) put(b []byte) {
	class := bits.Len(uint(len(b) - 1))
	if class > largest || len(m[class-smallest]) >= mostOfClass {
		return
	}
	m[class-smallest] = append(m[class-smallest], b)
}
