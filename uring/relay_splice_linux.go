//go:build linux && (amd64 || arm64)

package uring

import (
	"io"

	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

// fill moves what the source has into a pipe, once, and on to the sink. The
// pipe is given back as soon as it is empty, so a flow that goes quiet has none.
func (r *relay) fill() {
	limit := r.budget()
	if w := r.window(); w > 0 {
		limit = int(min(int64(limit), w))
	}
	if r.placed() {
		r.copyIn(limit)
		return
	}
	pipe, err := r.b.pipes.Get()
	if err != nil {
		r.copyIn(limit)
		return
	}
	r.pipe = pipe
	n, errno := pipe.Fill(int(r.from), limit)
	switch {
	case n > 0:
		r.read += int64(n)
		r.policy.Saw(n)
		return // pump pours it
	case errno == 0:
		r.sourceEnded(io.EOF, proactor.NoSide)
	case errno == unix.EAGAIN:
	case errno == unix.EINVAL:
		r.putPipe()
		r.copyIn(limit)
		return
	default:
		r.sourceEnded(errno, proactor.Source)
	}
	r.putPipe()
}

// copyIn goes back to copying, since there is no pipe or the source cannot be
// spliced. What is no socket is read here; sockets are received from.
func (r *relay) copyIn(limit int) {
	r.policy.Refused()
	if !r.polled {
		return
	}
	p := make([]byte, min(limit, relayQueue/4))
	n, errno := sys.Read(int(r.from), sys.Other, p)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case errno != 0:
		r.sourceEnded(errno, proactor.Source)
	case n == 0:
		r.sourceEnded(io.EOF, proactor.NoSide)
	default:
		r.read += int64(n)
		r.queued += n
		r.pieces = append(r.pieces, piece{data: p[:n]})
	}
}

// drain moves what is in the pipe to the sink, and waits for that if it takes
// no more.
func (r *relay) drain() {
	n, errno := r.pipe.Drain(int(r.to), r.pipe.Len())
	r.sink.took(n)
	if n > 0 {
		r.progress(n, &r.b.stats.Spliced)
	}
	switch {
	case r.pipe.Len() == 0:
		r.putPipe()
	case errno == 0 || errno == unix.EAGAIN:
		r.awaitSink()
	case errno == unix.EINVAL: // it cannot be spliced to
		r.policy.Refused()
		p := r.pipe.Rest()
		r.queued += len(p)
		r.pieces = append(r.pieces, piece{data: p})
		r.putPipe()
		r.awaitSink()
	default:
		r.leave(errno, proactor.Sink)
	}
}

// awaitSink polls until the sink takes bytes.
func (r *relay) awaitSink() {
	s := r.sink
	s.wait = true
	if e := r.entry(); e != nil {
		r.b.launch(s, kindOp)
		r.b.prepareRoom(s, e, r.x.Dst)
		aim(e)
	}
}

// write writes p to a sink that is no socket.
func (r *relay) write(p []byte) {
	n, errno := sys.Write(int(r.to), sys.Other, p[:min(len(p), r.budget())])
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case errno != 0:
		r.leave(errno, proactor.Sink)
		return
	default:
		r.took(n)
	}
	if n < len(p) || r.head < len(r.x.Head) || r.queued > 0 {
		r.awaitSink()
	}
}
