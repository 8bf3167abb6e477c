//go:build linux && (amd64 || arm64)

package uring

import (
	"io"
	"syscall"

	"mobius/internal/invariant"
	"mobius/internal/sys"
	"mobius/proactor"
)

// Streams of large pieces are polled on the ring and read by the loop.
//
// The receives of a turn are done before the first of their completions is seen. If
// each brings a few hundred KiB, the first bytes have left the processor's cache
// when they are looked at, and have to be fetched again to be sent on. A loop that reads
// one stream, deals with that and then reads the next has each byte from the cache, and
// all of them in the one buffer that was used last.
//
// So a stream whose recent pieces were large is polled, and read into a
// buffer that the kernel does not have at the moment. If there is none, it takes its turn at
// the ring like everybody else.

// bulkScore is how many more large pieces than small ones make a stream bulk. Large is
// from Options.BulkFrom on, small below half of that.
const bulkScore = 3

// bulky reports whether what s receives for is to be polled and read.
func (b *Backend) bulky(s *slot) bool {
	return s.streak < 0 && len(b.pools) == 1 && len(b.pools[0].spare) > 0
}

// weigh looks at the size of one piece. The streak of a bulk stream is below 0.
func (b *Backend) weigh(s *slot, n int) {
	switch {
	case n >= b.o.BulkFrom && s.streak < 0:
		s.streak = max(s.streak-1, -bulkScore)
	case n >= b.o.BulkFrom && s.streak < bulkScore-1:
		s.streak++
	case n >= b.o.BulkFrom:
		b.beBulk(s)
	case n < b.o.BulkFrom/2 && s.streak > 0:
		s.streak--
	case n < b.o.BulkFrom/2 && s.streak < 0:
		if s.streak++; s.streak == 0 {
			descriptorOf(b.Lookup(s.op.Handle)).bulk = false
		}
	}
}

// beBulk makes a stream bulk, which lasts beyond its Recv, if it is one that
// can be read by a system call, and that is worth it.
func (b *Backend) beBulk(s *slot) {
	h := s.op.Handle
	if placed(h) || b.pools[0].size/4 < b.o.BulkFrom {
		return
	}
	s.streak = -bulkScore
	descriptorOf(b.Lookup(h)).bulk = true
}

// recallBulk has a Recv begin as the one before on its handle has ended.
func (b *Backend) recallBulk(s *slot, e *sys.Entry) {
	if d, _ := e.User.(*descriptor); d != nil && d.bulk && d.handle == s.op.Handle {
		s.streak = -bulkScore
	}
}

// readBulk reads once what a poll has announced.
func (b *Backend) readBulk(s *slot, res int32) {
	op, p := s.op, b.pools[0]
	if res < 0 {
		b.failed(op, syscall.Errno(-res))
		return
	}
	if op.B.State == proactor.Stopping || len(p.spare) == 0 {
		b.goOn(op)
		return
	}
	room := p.size
	if op.Limit > 0 {
		room = min(room, op.Limit-op.B.Done)
	}
	i := p.spare[len(p.spare)-1]
	memory := p.memory[int(i)*p.size:][:room]
	n, errno := sys.Read(int(op.Handle.Index()), sys.Stream, memory)
	switch {
	case errno != 0:
		b.failed(op, errno)
	case n == 0:
		b.complete(op, 0, io.EOF)
	default:
		p.lease(n)
		s.hungry = false
		b.weigh(s, n)
		data := memory[:n:n]
		if invariant.Enabled { // the race detector does not see the pool's memory
			data = append([]byte(nil), data...)
		}
		b.lend(op, data, bufferID(0, i), false)
	}
}
