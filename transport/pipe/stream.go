package pipe

import (
	"io"
	"net"
	"runtime/debug"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// A Stream is a reader and a writer as one transport.Transport: standard input
// and output, for example. It has no addresses, and cannot be detached: there
// are two handles. WriteOwned copies. When both have ended its protocol is told
// by ConnectionLost. Start it once.
type Stream struct {
	l      *loop.Loop
	p      transport.Protocol
	in     *Reader
	out    *Writer
	half   transport.HalfCloser // the protocol, if it is one
	drain  transport.Drainer    // the same
	why    *transport.ConnError
	member loop.Member
}

var _ transport.Transport = (*Stream)(nil)

// Start makes a stream of two handles, which are its own now, and p's: it
// calls ConnectionMade and begins to read.
func Start(l *loop.Loop, in, out proactor.Handle, limits Limits, p transport.Protocol) *Stream {
	s := &Stream{l: l, p: p}
	s.half, _ = transport.As[transport.HalfCloser](p)
	s.drain, _ = transport.As[transport.Drainer](p)
	e := (*streamEvents)(s)
	s.member.Owner = e
	s.in = NewReader(l, in, false, e)
	s.out = NewWriter(l, out, false, limits, e)
	l.Join(&s.member)
	s.call(func() { p.ConnectionMade(s) })
	return s
}

// call calls the protocol; a panic is the stream's end.
func (s *Stream) call(f func()) {
	defer func() {
		if v := recover(); v != nil {
			s.l.Report(loop.Trouble{Kind: loop.Panicked, Value: v, Stack: debug.Stack()})
			s.die(transport.Panicked, "protocol", &loop.PanicError{Value: v})
		}
	}()
	f()
}

// die decides the end. The first reason counts, but an orderly one gives way.
func (s *Stream) die(k transport.Kind, op string, err error) {
	s.because(k, op, err)
	s.in.Close(err)
	s.out.Abort(err)
}

func (s *Stream) because(k transport.Kind, op string, err error) {
	if s.why == nil || s.why.Kind == transport.Done && k != transport.Done {
		s.why = &transport.ConnError{Op: op, Kind: k, Err: err}
	}
}

// settle is the end of a stream that has neither half any more.
func (s *Stream) settle() {
	if s.in.Over() && s.out.Over() {
		s.because(transport.Done, "read", io.EOF)
		s.l.Leave(&s.member)
		s.call(func() { s.p.ConnectionLost(s.why) })
	}
}

// Write queues a copy of p; see transport.Transport.
func (s *Stream) Write(p []byte) (int, error) { return s.out.Write(p) }

// Writev queues copies of bufs: all of them or nothing.
func (s *Stream) Writev(bufs [][]byte) (int, error) {
	var all []byte
	for _, b := range bufs {
		all = append(all, b...)
	}
	return s.out.Write(all)
}

// WriteOwned queues a copy of buf and calls release at once.
func (s *Stream) WriteOwned(buf []byte, release func()) error {
	_, err := s.out.Write(buf)
	if release != nil {
		s.call(release)
	}
	return err
}

// Queued returns how many bytes wait to be taken by the kernel.
func (s *Stream) Queued() int { return s.out.Queued() }

// Room returns how many bytes a Write takes now.
func (s *Stream) Room() int { return s.out.Room() }

// LoseConnection closes both once everything written is sent.
func (s *Stream) LoseConnection() { s.CloseWithError(nil) }

// CloseWithError is LoseConnection with a reason.
func (s *Stream) CloseWithError(err error) {
	if err != nil {
		s.because(transport.Failed, "close", err)
	} else {
		s.because(transport.Done, "close", net.ErrClosed)
	}
	s.in.Close(net.ErrClosed)
	s.out.Close()
}

// LoseWriteConnection closes the output once everything written is sent.
func (s *Stream) LoseWriteConnection() { s.out.Close() }

// AbortConnection closes both at once.
func (s *Stream) AbortConnection() { s.die(transport.Aborted, "abort", net.ErrClosed) }

// PauseReading stops DataReceived until ResumeReading.
func (s *Stream) PauseReading() { s.in.Pause() }

// ResumeReading lets DataReceived go on.
func (s *Stream) ResumeReading() { s.in.Resume() }

// Detach is refused: there is no one handle to give away.
func (s *Stream) Detach(func(proactor.Handle, []byte, error)) error {
	return proactor.ErrUnsupported
}

// LocalAddr returns the address of nothing.
func (s *Stream) LocalAddr() proactor.Address { return proactor.Address{} }

// RemoteAddr returns the address of nothing.
func (s *Stream) RemoteAddr() proactor.Address { return proactor.Address{} }

// Handle returns that of the input.
func (s *Stream) Handle() proactor.Handle { return s.in.Handle() }

// Loop returns the loop that the stream lives on.
func (s *Stream) Loop() *loop.Loop { return s.l }

// streamEvents is a Stream as its halves and its loop see it.
type streamEvents Stream

// Received hands on what was read.
func (e *streamEvents) Received(_ *Reader, p []byte) { e.p.DataReceived(p) }

// Ended is the end of the input.
func (e *streamEvents) Ended(_ *Reader, err error) {
	s := (*Stream)(e)
	switch {
	case s.why != nil || s.out.Over():
	case err != io.EOF:
		kind := transport.Lost
		if _, ok := err.(*loop.PanicError); ok {
			kind = transport.Panicked
		}
		s.die(kind, "read", err)
	case s.half != nil:
		s.call(s.half.ReadConnectionLost)
	default:
		s.because(transport.Done, "read", io.EOF)
		s.out.Close()
	}
	s.settle()
}

// Closed is the end of the output.
func (e *streamEvents) Closed(_ *Writer, err error) {
	s := (*Stream)(e)
	switch {
	case s.why != nil || s.in.Over():
		if err != net.ErrClosed {
			s.because(transport.Lost, "write", err)
		}
	case err != net.ErrClosed:
		s.die(transport.Lost, "write", err)
	case s.half != nil:
		s.call(s.half.WriteConnectionLost)
	}
	s.settle()
}

// Full tells a Drainer.
func (e *streamEvents) Full(*Writer) {
	if e.drain != nil {
		(*Stream)(e).call(e.drain.PauseWriting)
	}
}

// Drained tells a Drainer.
func (e *streamEvents) Drained(*Writer) {
	if e.drain != nil {
		(*Stream)(e).call(e.drain.ResumeWriting)
	}
}

// Finish closes in good order in a loop's Shutdown.
func (e *streamEvents) Finish() { (*Stream)(e).LoseConnection() }

// Fail is the loop's stop.
func (e *streamEvents) Fail(err error) { (*Stream)(e).die(transport.Stopped, "loop", err) }
