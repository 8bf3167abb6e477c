package backendtest

import (
	"io"

	"mobius/proactor"
)

// A stream is one end of a connection.
type stream struct {
	d *driver
	h proactor.Handle
}

// A writer sends a stretch of a seed's stream, one Send at a time.
type writer struct {
	*probe
	s     stream
	seed  uint64
	total int64
	sent  int64 // bytes that the kernel took
	cut   func() int
	buf   []byte
	stop  bool // do not go on after the Send under way
}

// write sends total bytes of seed's stream in pieces of cut() bytes; nil
// means in one.
func (s stream) write(seed uint64, total int64, cut func() int) *writer {
	w := &writer{probe: s.d.probe(proactor.OpSend, s.h), s: s, seed: seed, total: total, cut: cut}
	w.on = w.next
	w.send()
	return w
}

func (w *writer) send() {
	n := w.total - w.sent
	if w.cut != nil {
		n = min(n, int64(w.cut()))
	}
	if int64(cap(w.buf)) < n {
		w.buf = make([]byte, n)
	}
	w.Buf = w.buf[:n]
	fill(w.seed, w.sent, w.Buf)
	w.submit()
}

func (w *writer) next() {
	w.sent += int64(w.N)
	switch {
	case w.N > len(w.Buf) || w.Err == nil && w.N != len(w.Buf):
		w.d.report("sentence 5: send of %d bytes completes with N %d, Err %v", len(w.Buf), w.N, w.Err)
	case w.Err == nil && w.sent < w.total && !w.stop:
		w.send()
	}
}

// isDone reports whether everything was sent, or the sending has failed.
func (w *writer) isDone() bool { return !w.live }

// A reader receives a seed's stream and compares every byte.
type reader struct {
	*probe
	s    stream
	seed uint64
	got  int64
	each func(p []byte) // called with each piece, before the next is asked for
}

// read receives until the end. The bytes must be those of seed's stream.
func (s stream) read(seed uint64) *reader { return s.readFrom(seed, 0) }

// readFrom is read for a stream of which the first got bytes were read before.
func (s stream) readFrom(seed uint64, got int64) *reader {
	r := s.reader(seed, got)
	r.submit()
	return r
}

// reader returns a reader that has not been submitted.
func (s stream) reader(seed uint64, got int64) *reader {
	r := &reader{probe: s.d.probe(proactor.OpRecv, s.h), s: s, seed: seed, got: got}
	r.on = r.take
	return r
}

func (r *reader) take() {
	if len(r.Buf) == 0 {
		return
	}
	r.check(r.Buf)
	r.got += int64(len(r.Buf))
	if r.each != nil {
		p := r.Buf
		r.each(p)
		if i := mismatch(r.seed, r.got-int64(len(p)), p); i >= 0 {
			r.d.report("sentence 3: lent byte %d of %d changed before Complete returned", i, len(p))
		}
	}
}

// check compares p with what stands behind the r.got bytes before it.
func (r *reader) check(p []byte) {
	if i := mismatch(r.seed, r.got, p); i >= 0 {
		r.d.report("handle %v: byte %d of the stream (index %d of %d lent ones) is %#x, want %#x",
			r.h(), r.got+int64(i), i, len(p), p[i], made(r.seed, r.got+int64(i), 1)[0])
	}
}

func (r *reader) h() proactor.Handle { return r.s.h }

// has returns a condition: n bytes have arrived, or the stream has ended.
func (r *reader) has(n int64) func() bool {
	return func() bool { return r.got >= n || !r.live }
}

// wantEnd waits for the end of the stream and checks how long it was.
func (r *reader) wantEnd(want int64) {
	w := r.d.w
	w.Helper()
	w.until("the stream ends", r.isIdle)
	if r.err != io.EOF || r.got != want {
		w.Fatalf("the stream ends with %v after %d bytes, want EOF after %d", r.err, r.got, want)
	}
}

// close closes the stream. Its ops must have ended.
func (s stream) close() {
	s.d.w.Helper()
	s.d.close(s.h)
}

// shutdown ends the writing side.
func (s stream) shutdown() {
	s.d.w.Helper()
	if err := s.d.b.Shutdown(s.h); err != nil {
		s.d.w.Fatalf("Shutdown: %v", err)
	}
}

// reset closes the stream with an RST. Its ops must have ended.
func (s stream) reset() {
	s.d.w.Helper()
	if err := s.d.b.Reset(s.h); err != nil {
		s.d.w.Fatalf("Reset: %v", err)
	}
	s.close()
}

// say sends p and waits until the kernel has it.
func (s stream) say(p []byte) {
	w := s.d.w
	w.Helper()
	op := s.d.probe(proactor.OpSend, s.h)
	op.Buf = p
	op.submit()
	w.until("a send of a few bytes completes", op.isIdle)
	if op.err != nil || op.n != len(p) {
		w.Fatalf("send of %d bytes: N %d, Err %v", len(p), op.n, op.err)
	}
	s.d.forget(op)
}

// forget drops a probe that is done with, so that long tests do not collect them.
func (d *driver) forget(p *probe) {
	if n := len(d.probes); n > 0 && d.probes[n-1] == p {
		d.probes = d.probes[:n-1]
	}
}
