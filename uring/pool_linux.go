//go:build linux && (amd64 || arm64)

package uring

import (
	"fmt"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/proactor"
)

// A pool is one buffer ring with its memory: what receives of one class are
// lent from.
//
//	       publish            a receive fills it (plain: any receive)
//	spare ─────────▶ kernel's ────────────────────────────────────────▶ spent
//	  ▲                                                                   │
//	  └───────────────────────────────────────────────────────────────────┘
//	                  once nobody looks at its bytes
//
// The kernel goes through its buffers in turn, so it is given no more than it
// needs, and those that were in use last, whose bytes the processor still has
// in its cache. How many are needed is learned from receives that find none.
type pool struct {
	ring        *BufferRing
	arena       []byte // memory, between two pages that nobody may touch
	memory      []byte
	size        int
	incremental bool
	buffers     []buffer
	avail       int      // buffers nobody looks at: the kernel's, as far as we know, and the spare ones
	spare       []uint16 // of them: those that the kernel does not have, the last used on top
	most        int      // how many the kernel may have: of a mail's, sacks have the others
	want        int      // how many buffers the kernel shall have when it is entered
	reserve     int      // how many it shall not have, for readBulk
	low         int      // the fewest it had left after a round, of the last rounds
	rounds      int
	grown       bool // in this round

	// Receives that found no buffer, in the order in which they came. Those that
	// were armed again, and found none once more, are in again: they keep their
	// place before those that have been served since.
	again, starved proactor.Queue
}

// starve puts op, for which s receives, where it waits for a buffer.
func (p *pool) starve(op *proactor.Op, s *slot) {
	if s.hungry {
		p.again.Push(op)
		return
	}
	s.hungry = true
	p.starved.Push(op)
}

// starving returns how many receives wait for a buffer.
func (p *pool) starving() int { return p.again.Len() + p.starved.Len() }

// next takes the one that has waited longest.
func (p *pool) next() *proactor.Op {
	if op := p.again.Pop(); op != nil {
		return op
	}
	return p.starved.Pop()
}

// A buffer is where one buffer of a pool is.
type buffer struct {
	filled int   // bytes received since it became the kernel's
	users  int32 // holds, and the completion under way
	spent  bool  // no longer the kernel's
	pinned bool  // spent, and counted in Backend.pinned
	asked  bool  // all its holds have been asked back
}

// newPool maps n buffers of a size and registers a ring for them.
func newPool(r *Ring, group uint16, n, size int, incremental bool) (*pool, error) {
	entries := 1
	for entries < n {
		entries *= 2
	}
	var flags uint16
	if incremental {
		flags = IOU_PBUF_RING_INC
	}
	ring, err := r.NewBufferRing(group, entries, flags)
	if err != nil {
		return nil, err
	}
	arena, memory, err := mapGuarded(n * size)
	if err != nil {
		_ = ring.Close()
		return nil, fmt.Errorf("map %d buffers of %d bytes: %w", n, size, err)
	}
	p := &pool{ring: ring, arena: arena, memory: memory, size: size, incremental: incremental, buffers: make([]buffer, n)}
	p.want, p.low, p.most = n, n, n
	for i := range p.buffers {
		p.post(uint16(i))
	}
	return p, nil
}

// mapGuarded maps n bytes between two pages that nobody may touch, whole with
// those and alone: who runs over the end of a pool, this process or the kernel
// for it, meets a fault and not somebody else's bytes.
func mapGuarded(n int) (whole, inside []byte, err error) {
	page := unix.Getpagesize()
	size := (n + page - 1) / page * page
	whole, err = unix.Mmap(-1, 0, page+size+page, unix.PROT_NONE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.Mprotect(whole[page:page+size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
		_ = unix.Munmap(whole)
		return nil, nil, err
	}
	return whole, whole[page : page+n : page+n], nil
}

// post takes buffer i back.
func (p *pool) post(i uint16) {
	invariant.Scribble(p.memory[int(i)*p.size:][:p.buffers[i].filled])
	p.buffers[i] = buffer{}
	p.spare = append(p.spare, i)
	p.avail++
}

// frugal has the pool give the kernel only what it has been seen to need.
func (p *pool) frugal() {
	p.want = p.least()
	p.low = p.want
}

// leave has the kernel never get the last n buffers, which are for receives without the ring.
func (p *pool) leave(n int) {
	p.most = max(len(p.buffers)-n, p.least())
	p.want, p.low = p.most, p.most
}

// least returns how many buffers the kernel has at least: two, since one may be
// all but full.
func (p *pool) least() int { return min(max(2, len(p.buffers)/8), len(p.buffers)) }

// thrift is the number of rounds after which a pool of which never more than
// half was needed gives half.
const thrift = 1024

// publish gives the kernel as many buffers as it shall have.
func (p *pool) publish() {
	has := p.avail - len(p.spare)
	p.grown = false
	p.low = min(p.low, has)
	if p.rounds++; p.rounds == thrift {
		if p.low*2 >= p.want {
			p.want = max(p.want/2, p.least())
		}
		p.rounds, p.low = 0, p.want
	}
	for ; has < p.want && len(p.spare) > 0; has++ {
		i := p.spare[len(p.spare)-1]
		p.spare = p.spare[:len(p.spare)-1]
		p.ring.Add(p.memory[int(i)*p.size:][:p.size], i)
	}
	p.ring.Publish()
}

// short notes that a receive found no buffer.
func (p *pool) short() {
	if !p.grown && len(p.spare) > 0 {
		p.want, p.grown = min(2*p.want, p.most-p.reserve), true
	}
}

// lease accounts for n bytes that were read into the spare buffer on top, which
// has one user then.
func (p *pool) lease(n int) {
	i := p.spare[len(p.spare)-1]
	p.spare = p.spare[:len(p.spare)-1]
	p.avail--
	p.buffers[i] = buffer{filled: n, users: 1, spent: true}
}

// take accounts for a completion that brought n bytes in buffer i, and returns
// them with one user counted; nil if that cannot be.
func (p *pool) take(i uint16, n int, flags uint32) []byte {
	if int(i) >= len(p.buffers) {
		return nil
	}
	b := &p.buffers[i]
	if b.spent || b.filled+n > p.size {
		return nil
	}
	at := int(i)*p.size + b.filled
	b.filled += n
	if !p.incremental || flags&IORING_CQE_F_BUF_MORE == 0 {
		b.spent = true
		p.avail--
	}
	b.users++
	return p.memory[at : at+n : at+n]
}

// inside returns the memory of buffer i.
func (p *pool) inside(i uint16) []byte { return p.memory[int(i)*p.size:][:p.size] }

// spend takes the n spare buffers that were used last, each for one user: receives
// without the ring have filled them.
func (p *pool) spend(n int) {
	from := len(p.spare) - n
	for _, i := range p.spare[from:] {
		p.buffers[i] = buffer{spent: true, users: 1}
	}
	p.spare = p.spare[:from]
	p.avail -= n
}

// close frees the memory. The kernel must have let go of it.
func (p *pool) close() error {
	err := p.ring.Close()
	if e := unix.Munmap(p.arena); err == nil {
		err = e
	}
	return err
}

// bufferID names a buffer in a proactor.Hold: class and number.
func bufferID(class uint8, i uint16) uint32 { return uint32(class)<<16 | uint32(i) }

// noBuffer is the id of bytes on the Go heap.
const noBuffer = ^uint32(0)
