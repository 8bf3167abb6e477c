package pipe

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// endedBy checks how the stream has ended: once.
func (u *user) endedBy(kind transport.Kind, cause error) {
	u.s.Helper()
	u.s.Until("the stream ends", func() bool { return u.lost > 0 })
	var e *transport.ConnError
	if u.lost != 1 || !errors.As(u.err, &e) || e.Kind != kind || !errors.Is(u.err, cause) {
		u.s.Errorf("lost %d times, by %v; want %v, %v", u.lost, u.err, kind, cause)
	}
}

// All the writes arrive in order, within the limit; whatever comes after the end
// is refused, and so is what a stream cannot do.
func TestStreamWrites(t *testing.T) {
	each(t, func(s *site) {
		u, feed, drain := s.stream(Limits{High: 4, Low: 0, Hard: 20})
		q := u.t.(transport.Queuer)
		write := func(n int, err error) {
			s.Helper()
			s.try(err)
		}
		write(u.t.Write(nil))
		write(u.t.Write([]byte("one")))
		write(u.t.Writev([][]byte{[]byte("two"), nil, []byte("three")}))
		released := 0
		s.try(u.t.WriteOwned([]byte("four"), func() { released++ }))
		s.try(u.t.WriteOwned([]byte("5"), nil))
		if q.Queued() != 16 || q.Room() != 4 || released != 1 {
			s.Errorf("%d bytes queued, room for %d, released %d times", q.Queued(), q.Room(), released)
		}
		if n, err := u.t.Writev([][]byte{[]byte("abc"), []byte("de")}); n != 0 || err != transport.ErrFull {
			s.Errorf("a write beyond the limit: %d, %v", n, err)
		}
		if err := u.t.WriteOwned(make([]byte, 5), func() { released++ }); err != transport.ErrFull || released != 2 {
			s.Errorf("an owned write beyond the limit: %v, released %d times", err, released)
		}
		if err := u.t.Detach(nil); err != proactor.ErrUnsupported || u.t.Loop() != s.l || u.t.Handle() == 0 {
			s.Errorf("Detach: %v; loop %v, handle %v", err, u.t.Loop(), u.t.Handle())
		}
		u.t.LoseConnection()
		u.t.LoseConnection()
		u.t.LoseWriteConnection()
		if _, err := u.t.Write([]byte("x")); err != transport.ErrNotWritable || q.Room() != 0 {
			s.Errorf("a write after the end: %v, room for %d", err, q.Room())
		}
		u.endedBy(transport.Done, net.ErrClosed)
		drain.await("ended")
		if string(drain.got) != "onetwothreefour5" || drain.err != io.EOF {
			s.Errorf("arrived: %q, %v", drain.got, drain.err)
		}
		u.t.AbortConnection()
		u.t.CloseWithError(errors.New("too late"))
		u.t.PauseReading()
		u.t.ResumeReading()
		feed.Abort(net.ErrClosed)
		s.Until("nothing is left", func() bool { return s.live() == 0 && s.l.Members() == 0 })
		if u.lost != 1 {
			s.Errorf("lost %d times", u.lost)
		}
	})
}

// The reason is the first that is more than an orderly end.
func TestReasonsOfAStreamsEnd(t *testing.T) {
	enough := errors.New("enough")
	for name, c := range map[string]struct {
		do    func(s *site, u *user, feed *Writer)
		kind  transport.Kind
		cause error
	}{
		"an error": {func(_ *site, u *user, _ *Writer) {
			u.t.LoseConnection()
			u.t.CloseWithError(enough)
			u.t.AbortConnection()
		}, transport.Failed, enough},
		"no error":   {func(_ *site, u *user, _ *Writer) { u.t.CloseWithError(nil) }, transport.Done, net.ErrClosed},
		"abort":      {func(_ *site, u *user, _ *Writer) { u.t.AbortConnection() }, transport.Aborted, net.ErrClosed},
		"the end":    {func(_ *site, _ *user, feed *Writer) { feed.Close() }, transport.Done, io.EOF},
		"Stop":       {func(s *site, _ *user, _ *Writer) { s.l.Stop() }, transport.Stopped, loop.ErrStopped},
		"Shutdown":   {func(s *site, _ *user, _ *Writer) { s.l.Shutdown(time.Hour) }, transport.Done, net.ErrClosed},
		"half, half": {func(_ *site, u *user, feed *Writer) { u.t.LoseWriteConnection(); feed.Close() }, transport.Done, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *site) {
				u, feed, _ := s.stream(roomy)
				c.do(s, u, feed)
				u.endedBy(c.kind, c.cause)
				feed.Abort(net.ErrClosed)
			})
		})
	}
}

func TestPanicsAreAStreamsEnd(t *testing.T) {
	boom := errors.New("boom")
	for name, begin := range map[string]func(u *user, feed *Writer){
		"DataReceived": func(u *user, feed *Writer) {
			u.on = func([]byte) { panic(boom) }
			_, _ = feed.Write([]byte("x")) // there is room
		},
		"release": func(u *user, _ *Writer) { _ = u.t.WriteOwned([]byte("x"), func() { panic(boom) }) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *site) {
				u, feed, _ := s.stream(roomy)
				begin(u, feed)
				u.endedBy(transport.Panicked, boom)
				s.panics(1)
				feed.Abort(net.ErrClosed)
			})
		})
	}
}

// What cannot be read ends both directions.
func TestReadFails(t *testing.T) {
	eachReal(t, func(s *site) {
		fd, err := syscall.Open(t.TempDir(), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		s.try(err)
		sink, out := s.pipe()
		u := &user{far: far{s: s}}
		Start(s.l, s.adopt(fd), out, roomy, u)
		u.endedBy(transport.Lost, syscall.EISDIR)
		s.try(s.l.Sockets().CloseFD(sink))
	})
}

// A reader that goes away is noticed, even when nothing is written, and also when
// the end was asked for.
func TestNobodyReads(t *testing.T) {
	for name, closing := range map[string]bool{"idle": false, "closing": true} {
		t.Run(name, func(t *testing.T) {
			eachReal(t, func(s *site) {
				in, source := s.pipe()
				sink, out := s.pipe()
				u := &user{far: far{s: s}}
				Start(s.l, in, out, roomy, u)
				if closing {
					_, err := u.t.Write(make([]byte, 1<<20)) // more than a pipe takes
					s.try(err)
					u.t.LoseConnection()
				}
				s.Turn()
				s.try(s.l.Sockets().CloseFD(sink))
				u.endedBy(transport.Lost, syscall.EPIPE)
				s.try(s.l.Sockets().CloseFD(source))
			})
		})
	}
}

// The flushing ends when nobody reads for CloseTimeout, and not while somebody
// does, however slowly.
func TestCloseTimeout(t *testing.T) {
	s := simulated(t, 1000)
	limits := roomy
	limits.CloseTimeout = time.Second
	in, source := s.pipe()
	sink, out := s.pipe()
	u := &user{far: far{s: s}}
	Start(s.l, in, out, limits, u)
	_, err := u.t.Write(make([]byte, 20_000))
	s.try(err)
	u.t.LoseConnection()
	slow := &far{s: s}
	reader := NewReader(s.l, sink, false, slow)
	for range 4 { // a part every 0.9 s
		had := len(slow.got)
		s.Until("a part is read", func() bool { return len(slow.got) > had })
		reader.Pause()
		s.Pass(s.l, 900*time.Millisecond)
		if u.lost != 0 {
			s.Fatalf("lost after %d bytes, by %v", len(slow.got), u.err)
		}
		reader.Resume()
	}
	reader.Pause()
	start := s.l.Now()
	u.endedBy(transport.Lost, os.ErrDeadlineExceeded)
	if took := s.l.Now() - start; took > 3*time.Second {
		s.Errorf("it took %v", took)
	}
	reader.Close(net.ErrClosed)
	s.try(s.l.Sockets().CloseFD(source))
	slow.await("ended")
}
