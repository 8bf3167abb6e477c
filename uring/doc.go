// Package uring is io_uring, twice.
//
// [Ring] is a small, complete wrapping of the kernel's interface for programs
// that want a ring of their own: setup, mapped queues, typed preparation of
// entries, buffer rings, probing, restrictions, registered descriptors. It
// hides no call and starts no thread.
//
// [Open] returns a proactor.Backend on such a ring: what the reactor runs on
// where the kernel allows. The two share no state; a program may use either.
//
// Linux 6.1 or newer on amd64 and arm64. Everywhere else Open answers an error for
// which errors.Is(err, [ErrUnavailable]) holds, and there is no Ring.
package uring
