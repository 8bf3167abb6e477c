package pipe

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"mobius/loop"
	"mobius/proactor"
)

// A reader's end comes once, and never inside one of its methods.
func TestReaderIsClosed(t *testing.T) {
	each(t, func(s *site) {
		r, w := s.pipe()
		f, g := &far{s: s}, &far{s: s}
		reader, writer := NewReader(s.l, r, false, f), NewWriter(s.l, w, false, roomy, g)
		if reader.Handle() != r || writer.Handle() != w || reader.Over() || writer.Over() {
			s.Errorf("handles %v and %v, want %v and %v", reader.Handle(), writer.Handle(), r, w)
		}
		enough := errors.New("enough")
		reader.Close(enough)
		reader.Close(errors.New("again"))
		reader.Pause()
		reader.Resume()
		f.expect()
		f.await("ended")
		if err := s.l.Sockets().CloseFD(r); f.err != enough || !reader.Over() || err != proactor.ErrClosed {
			s.Errorf("ended by %v; CloseFD afterwards: %v", f.err, err)
		}
		g.await("closed") // nobody reads any more
		reader.Close(enough)
		writer.Close()
		writer.Abort(enough)
		s.Turn()
		f.expect("ended")
		g.expect("closed")
		if s.live() != 0 {
			s.Errorf("%d handles left", s.live())
		}
	})
}

// A handle that is shared stays open.
func TestSharedHandlesStayOpen(t *testing.T) {
	each(t, func(s *site) {
		r, w := s.pipe()
		f, g := &far{s: s}, &far{s: s}
		reader, writer := NewReader(s.l, r, true, f), NewWriter(s.l, w, true, roomy, g)
		_, err := writer.Write([]byte("x"))
		s.try(err)
		writer.Close()
		g.await("closed")
		s.Until("the byte arrives", func() bool { return string(f.got) == "x" })
		reader.Close(net.ErrClosed)
		f.await("ended")
		if s.live() != 2 || g.err != net.ErrClosed {
			s.Errorf("%d handles left, closed by %v", s.live(), g.err)
		}
		s.try(s.l.Sockets().CloseFD(r))
		s.try(s.l.Sockets().CloseFD(w))
	})
}

// What a pause has kept comes first after it, then the end; a reader that is
// closed meanwhile drops it.
func TestPauseKeepsBytesAndTheEnd(t *testing.T) {
	for name, drop := range map[string]bool{"resume": false, "close": true} {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *site) {
				r, w := s.pipe()
				f := &far{s: s}
				reader, writer := NewReader(s.l, r, false, f), NewWriter(s.l, w, false, roomy, &far{s: s})
				f.on = func([]byte) { reader.Pause() }
				for _, text := range []string{"one", "two", "three"} {
					_, err := writer.Write([]byte(text))
					s.try(err)
					for range 3 {
						s.Turn()
					}
				}
				writer.Close()
				s.Until("the writer is done", writer.Over)
				for range 5 {
					s.Turn()
				}
				f.expect()
				if string(f.got) != "one" {
					s.Errorf("during the pause: %q", f.got)
				}
				if drop {
					reader.Close(net.ErrClosed)
					f.await("ended")
					if string(f.got) != "one" || f.err != net.ErrClosed {
						s.Errorf("%q, ended by %v", f.got, f.err)
					}
					return
				}
				f.on = nil
				reader.Pause()
				reader.Resume()
				reader.Resume()
				f.await("ended")
				if string(f.got) != "onetwothree" || f.err != io.EOF {
					s.Errorf("%q, ended by %v", f.got, f.err)
				}
			})
		})
	}
}

func TestPanicEndsAReader(t *testing.T) {
	each(t, func(s *site) {
		r, w := s.pipe()
		f, boom := &far{s: s}, errors.New("boom")
		NewReader(s.l, r, false, f)
		writer := NewWriter(s.l, w, false, roomy, &far{s: s})
		f.on = func([]byte) { panic(boom) }
		_, err := writer.Write([]byte("x"))
		s.try(err)
		f.await("ended")
		var e *loop.PanicError
		if !errors.As(f.err, &e) || e.Value != boom {
			s.Errorf("ended by %v", f.err)
		}
		s.panics(1)
		s.Until("the writer has noticed", writer.Over)
	})
}

// Much arrives in order, the marks are told in turn, and an empty writer keeps
// little memory.
func TestWriterMarksAndMemory(t *testing.T) {
	each(t, func(s *site) {
		const total = 1 << 20
		r, w := s.pipe()
		f, g := &far{s: s}, &far{s: s}
		writer := NewWriter(s.l, w, false, Limits{High: 1000, Low: 100, Hard: total}, g)
		all := make([]byte, total)
		for i := range all {
			all[i] = byte(i * i >> 7)
		}
		half, err := writer.Write(all[:total/2])
		s.try(err)
		s.Turn()
		rest, err := writer.Write(all[total/2:])
		if s.try(err); half+rest != total {
			s.Errorf("took %d and %d bytes", half, rest)
		}
		NewReader(s.l, r, false, f)
		s.Until("everything has arrived", func() bool { return len(f.got) >= total && writer.Queued() == 0 })
		if !bytes.Equal(f.got[:total], all) {
			s.Error("the bytes are not those that were written")
		}
		g.expect("full", "drained")
		if n := cap(writer.spare) + cap(writer.next); n > 2*keepUpTo {
			s.Errorf("%d bytes of memory are kept", n)
		}
		_, err = writer.Write(make([]byte, 2000))
		s.try(err)
		g.await("drained")
		writer.Abort(net.ErrClosed)
		writer.Abort(errors.New("again"))
		g.await("closed")
		g.expect("full", "drained", "closed")
		f.await("ended")
	})
}
