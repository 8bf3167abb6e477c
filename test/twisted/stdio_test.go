package twisted

import (
	"testing"

	"mobius/transport"
	"mobius/transport/pipe"
)

// ends is a protocol on two one-way descriptors, and what is at their others.
type ends struct {
	s       *scene
	t       transport.Transport
	got     string
	err     error
	inLost  func()
	outLost func()
}

func (e *ends) ConnectionMade(t transport.Transport) { e.t = t }
func (e *ends) DataReceived(p []byte)                { e.got += string(p) }

func (e *ends) ConnectionLost(err error) {
	e.err = err
	e.s.note("lost")
}

func (e *ends) ReadConnectionLost() {
	e.s.note("read lost")
	call(e.inLost)
}

func (e *ends) WriteConnectionLost() {
	e.s.note("write lost")
	call(e.outLost)
}

func (e *ends) PauseWriting()  { e.s.note("pause") }
func (e *ends) ResumeWriting() { e.s.note("resume") }

// eachStdio runs a case on a stream; feeder writes what it reads.
func eachStdio(t *testing.T, f func(s *scene, e *ends, feeder *transport.Conn)) {
	t.Helper()
	each(t, func(s *scene) {
		in, feed := s.streams()
		out, _ := s.streams()
		e := &ends{s: s}
		limits := pipe.Limits{High: 10, Low: 5, Hard: 1 << 20}
		pipe.Start(s.l, s.copyOf(in), s.copyOf(out), limits, e)
		f(s, e, s.speaker(feed))
	})
}

func TestCase321LoseConnectionIsTold(t *testing.T) {
	eachStdio(t, func(s *scene, e *ends, _ *transport.Conn) {
		e.t.LoseConnection()
		s.await("lost")
		if kindOf(e.err) != "done" {
			s.Errorf("lost by %v", e.err)
		}
		if _, err := e.t.Write([]byte("x")); err != transport.ErrNotWritable {
			s.Errorf("a write afterwards: %v", err)
		}
	})
}

func TestCase323PanicWhenAHalfIsLost(t *testing.T) {
	eachStdio(t, func(s *scene, e *ends, feeder *transport.Conn) {
		e.inLost = func() { panic("read") }
		feeder.LoseWriteConnection()
		s.await("lost")
		s.panics(1)
		s.expect("read lost", "lost")
		if kindOf(e.err) != "panicked" {
			s.Errorf("lost by %v", e.err)
		}
	})
	t.Run("write", func(t *testing.T) {
		eachStdio(t, func(s *scene, e *ends, _ *transport.Conn) {
			e.outLost = func() { panic("write") }
			e.t.LoseWriteConnection()
			s.await("lost")
			s.panics(1)
			s.expect("write lost", "lost")
		})
	})
}

func TestCase325StdioHasAddresses(t *testing.T) {
	eachStdio(t, func(s *scene, e *ends, _ *transport.Conn) {
		if a, b := e.t.LocalAddr(), e.t.RemoteAddr(); a.IsValid() || b.IsValid() || a.String()+b.String() != "" {
			s.Errorf("addresses %v and %v", a, b)
		}
		e.t.AbortConnection()
		s.await("lost")
	})
}

func TestCase327FlowControlWorksBothWays(t *testing.T) {
	eachStdio(t, func(s *scene, e *ends, feeder *transport.Conn) {
		e.t.PauseReading()
		_, err := feeder.Write([]byte("words"))
		s.try(err)
		s.pass()
		if e.got != "" {
			s.Errorf("%q during the pause", e.got)
		}
		e.t.ResumeReading()
		s.Until("the words have come", func() bool { return e.got == "words" })
		_, err = e.t.Write(make([]byte, 11))
		s.try(err)
		s.await("resume")
		s.expect("pause", "resume")
		e.t.AbortConnection()
		s.await("lost")
	})
}
