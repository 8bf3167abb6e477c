package proactor

import "strconv"

// A Handle names a socket, a pipe or a child of one backend. It is opaque:
// only the backend that made it knows what it stands for. It carries a
// generation, so that a Handle that outlived its CloseFD names nothing, also
// when the kernel has given the same number to somebody else. The zero Handle
// names nothing.
//
// (For backends: the index is in the low 32 bits, the generation, never 0, in
// the high ones.)
type Handle uint64

// MakeHandle returns the handle of an index and a generation. For backends.
func MakeHandle(index, generation uint32) Handle {
	return Handle(generation)<<32 | Handle(index)
}

// Index returns the index of a handle in its backend's table. For backends.
func (h Handle) Index() uint32 { return uint32(h) }

// Generation returns how often the index has been given out. For backends.
func (h Handle) Generation() uint32 { return uint32(h >> 32) }

// String returns index and generation, for logs and traces.
func (h Handle) String() string {
	return strconv.FormatUint(uint64(h.Index()), 10) + "#" + strconv.FormatUint(uint64(h.Generation()), 10)
}
