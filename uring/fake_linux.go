//go:build linux && (amd64 || arm64)

package uring

import "syscall"

// A fake plays, for a test, a kernel that does other things than it was asked,
// and tells of them late and in another order.
type fake interface {
	// submit may change an entry that the kernel is about to see.
	submit(e *SQE)

	// together is asked how many of n datagrams, which are about to leave by one
	// system call, it sends, or why not even one.
	together(n int) (int, syscall.Errno)

	// complete is given a completion of the kernel's, to keep.
	complete(c CQE)

	// next returns a completion that was kept; false: none now.
	next() (CQE, bool)

	// kept returns how many there are.
	kept() int
}

// fakes makes a fake for each ring.
type fakes func() fake

// fakeSubmit shows the fake the entries that it has not seen.
func (r *Ring) fakeSubmit() {
	for ; r.shown != r.sq.next; r.shown++ {
		r.fake.submit(&r.sq.entries[r.shown&r.sq.mask])
	}
}

// fakeNext gives the fake all completions, and returns one of its own.
func (r *Ring) fakeNext() (CQE, bool) {
	for c, ok := r.nextCQE(); ok; c, ok = r.nextCQE() {
		r.fake.complete(c)
	}
	return r.fake.next()
}
