//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package backendtest

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Sentences 11 and 15: descriptors that were opened for one direction.

// pipe makes a pipe and has the server's backend adopt both of its ends.
func (w *world) pipe() (reading, writing stream) {
	w.Helper()
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		w.Fatal(err)
	}
	d := w.server
	var ends [2]stream
	for i, fd := range fds {
		h, err := d.b.Adopt(fd)
		if err != nil {
			w.Fatalf("Adopt of a pipe's end: %v", err)
		}
		ends[i] = stream{d, d.own(h)}
	}
	return ends[0], ends[1]
}

// s11RelayOfAWrongEnd relays from a pipe's writing end, and to a reading one,
// with and without bytes at hand.
func s11RelayOfAWrongEnd(w *world) {
	for _, total := range []int{0, 100} {
		reading, writing := w.pipe()
		a, b := w.connect()
		a.say(made(1, 0, total))
		backwards := w.server.relay(writing.h, b.h)
		backwards.wrong = true
		backwards.submit()
		w.until("a relay from a writing end ends", backwards.isIdle)
		backwards.wantRelayed(0, unix.EBADF, proactor.Source)
		into := w.server.relay(b.h, reading.h)
		into.wrong = true
		into.submit()
		w.until("a relay to a reading end ends", into.isIdle)
		into.wantRelayed(0, unix.EBADF, proactor.Sink)
		r := b.read(1)
		w.until("nothing is lost", r.has(int64(total)))
		for _, s := range []stream{reading, writing} {
			s.close()
		}
	}
}

// s15ANumberForgetsItsDirection gives the numbers of a pipe's ends to sockets,
// which go both ways.
func s15ANumberForgetsItsDirection(w *world) {
	reading, writing := w.pipe()
	reading.close()
	writing.close()
	for range 3 { // whichever gets which number
		a, b := w.connect()
		for _, way := range [][2]stream{{a, b}, {b, a}} {
			way[0].say(made(1, 0, 10))
			r := way[1].read(1)
			w.until("a socket receives", r.has(10))
			r.cancel()
			w.until("the recv ends", r.isIdle)
		}
	}
}
