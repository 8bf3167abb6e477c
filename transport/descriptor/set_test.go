package descriptor

import (
	"errors"
	"io"
	"slices"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/test/backends"
)

// A site is a world with one loop and one set.
type site struct {
	*backends.World
	l   *loop.Loop
	set *Set
}

func each(t *testing.T, f func(s *site)) {
	backends.Each(t, func(w *backends.World) {
		l := w.Loop()
		f(&site{w, l, NewSet(l)})
	})
}

func (s *site) try(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// pair returns two descriptors, the test's own, of sockets that are connected;
// both can be written.
func (s *site) pair() (a, b int) {
	s.Helper()
	if s.Net != nil {
		a, b = s.Net.Pair()
		s.Cleanup(func() { _, _ = s.Net.CloseFile(a), s.Net.CloseFile(b) })
		return a, b
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	s.try(err)
	s.Cleanup(func() { _, _ = syscall.Close(fds[0]), syscall.Close(fds[1]) })
	return fds[0], fds[1]
}

// close closes one of the test's descriptors, whose peer becomes readable.
func (s *site) close(fd int) {
	s.Helper()
	if s.Net != nil {
		s.try(s.Net.CloseFile(fd))
	} else {
		s.try(syscall.Close(fd))
	}
}

// A fake is a descriptor that notes what it is told.
type fake struct {
	fd     int
	reads  int
	writes int
	half   int
	lost   []error
	read   func() error
	write  func() error
	gone   func()
}

func (f *fake) FD() int { return f.fd }

func (f *fake) DoRead() error {
	f.reads++
	if f.read != nil {
		return f.read()
	}
	return nil
}

func (f *fake) DoWrite() error {
	f.writes++
	if f.write != nil {
		return f.write()
	}
	return nil
}

func (f *fake) ConnectionLost(err error) {
	f.lost = append(f.lost, err)
	if f.gone != nil {
		f.gone()
	}
}

// A halver is a fake that goes on when it cannot be read any more.
type halver struct{ *fake }

func (h halver) ReadConnectionLost()  { h.half++ }
func (h halver) WriteConnectionLost() {}

// lostBy waits for d's end and checks the reason.
func (s *site) lostBy(f *fake, want error) {
	s.Helper()
	s.Until("it is lost", func() bool { return len(f.lost) > 0 })
	if len(f.lost) != 1 || !errors.Is(f.lost[0], want) {
		s.Errorf("lost by %v, want %v", f.lost, want)
	}
}

// idle checks that nothing is left of the set's work.
func (s *site) idle() {
	s.Helper()
	s.Until("nothing is left", func() bool {
		stats := s.l.Backend().Stats()
		return s.l.Members() == 0 && stats.Ops == 0 && stats.Handles == 0
	})
	if len(s.set.Readers())+len(s.set.Writers()) != 0 {
		s.Errorf("readers %v, writers %v", s.set.Readers(), s.set.Writers())
	}
}

// What is added twice is watched once; what is not there can be removed.
func TestDoubleCalls(t *testing.T) {
	each(t, func(s *site) {
		fd, _ := s.pair()
		f := &fake{fd: fd}
		s.set.RemoveReader(f)
		s.set.RemoveWriter(f)
		if all := s.set.RemoveAll(); len(all) != 0 {
			s.Errorf("removed %v", all)
		}
		for range 2 {
			s.try(s.set.AddReader(f))
			s.try(s.set.AddWriter(f))
		}
		if ops := s.l.Backend().Stats().Handles; ops != 1 || !slices.Equal(s.set.Readers(), []FileDescriptor{f}) {
			s.Errorf("%d handles, readers %v", ops, s.set.Readers())
		}
		s.Until("it is writable", func() bool { return f.writes > 2 })
		s.set.RemoveWriter(f)
		s.set.RemoveWriter(f)
		had := f.writes
		s.Turn()
		s.Turn()
		if f.writes != had || f.reads != 0 {
			s.Errorf("%d writes after the removal, %d reads", f.writes-had, f.reads)
		}
		if all := s.set.RemoveAll(); !slices.Equal(all, []FileDescriptor{f}) {
			s.Errorf("removed %v", all)
		}
		if all := s.set.RemoveAll(); len(all) != 0 {
			s.Errorf("removed again: %v", all)
		}
		s.idle()
		s.try(s.set.AddWriter(f)) // and from the beginning
		had = f.writes
		s.Until("it is writable again", func() bool { return f.writes > had })
		s.set.RemoveAll()
		s.idle()
		if len(f.lost) != 0 {
			s.Errorf("lost by %v", f.lost)
		}
	})
}

// An error of DoRead leaves out the DoWrite that is due with it.
func TestErrorsEndTheWatching(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		set    func(s *site, f *fake)
		want   error
		writes int
	}{
		"DoRead":       {func(_ *site, f *fake) { f.read = func() error { return boom } }, boom, 0},
		"DoWrite":      {func(_ *site, f *fake) { f.write = func() error { return boom } }, boom, 1},
		"a panic":      {func(_ *site, f *fake) { f.write = func() error { panic(boom) } }, boom, 1},
		"another FD":   {func(_ *site, f *fake) { f.read = func() error { f.fd = -1; return nil } }, ErrGone, 0},
		"FD, too late": {func(_ *site, f *fake) { f.write = func() error { f.fd++; return nil } }, ErrGone, 1},
		"removed inside": {func(s *site, f *fake) {
			f.read = func() error {
				s.set.RemoveAll()
				f.lost = append(f.lost, io.ErrClosedPipe) // nobody else does
				return boom
			}
		}, io.ErrClosedPipe, 0},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *site) {
				fd, peer := s.pair()
				s.close(peer)
				if s.Net != nil {
					s.Pass(s.l, time.Second) // until it is readable and writable at once
				}
				f := &fake{fd: fd}
				c.set(s, f)
				s.try(s.set.AddReader(f))
				s.try(s.set.AddWriter(f))
				s.lostBy(f, c.want)
				if f.reads != 1 || f.writes != c.writes {
					s.Errorf("%d reads, %d writes; want 1 and %d", f.reads, f.writes, c.writes)
				}
				s.idle()
				if all := s.TakeTroubles(); len(all) != map[bool]int{true: 1}[name == "a panic"] {
					s.Errorf("reported %v", all)
				}
			})
		})
	}
}

// The end of what is read leaves a half-closer the writing; for others it is an
// error like any other.
func TestEndOfTheReading(t *testing.T) {
	for name, half := range map[string]bool{"half-closer": true, "other": false} {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *site) {
				fd, peer := s.pair()
				s.close(peer)
				f := &fake{fd: fd, read: func() error { return io.EOF }}
				var d FileDescriptor = f
				if half {
					d = halver{f}
				}
				s.try(s.set.AddReader(d))
				if !half {
					s.lostBy(f, io.EOF)
					s.idle()
					return
				}
				s.Until("the reading has ended", func() bool { return f.half == 1 })
				s.idle()
				s.try(s.set.AddWriter(d))
				s.Until("it writes on", func() bool { return f.writes > 1 })
				s.try(s.set.AddReader(d))
				s.Until("the reading has ended again", func() bool { return f.half == 2 })
				had := f.writes
				s.Until("it still writes on", func() bool { return f.writes > had })
				if f.reads != 2 || len(f.lost) != 0 || len(s.set.Readers()) != 0 {
					s.Errorf("%d reads, lost by %v, readers %v", f.reads, f.lost, s.set.Readers())
				}
				s.set.RemoveAll()
				s.idle()
			})
		})
	}
}

// A descriptor that ConnectionLost adds again is watched again; what it panics
// with is reported, and the others are told all the same.
func TestConnectionLostMayDoAnything(t *testing.T) {
	each(t, func(s *site) {
		fd, _ := s.pair()
		f := &fake{fd: fd, write: func() error { return io.ErrShortWrite }}
		f.gone = func() {
			if len(f.lost) < 3 {
				s.try(s.set.AddWriter(f))
				return
			}
			panic("enough")
		}
		s.try(s.set.AddWriter(f))
		s.Until("it is lost for good", func() bool { return len(f.lost) == 3 })
		s.idle()
		if all := s.TakeTroubles(); len(all) != 1 || all[0].Kind != loop.Panicked || all[0].Value != "enough" {
			s.Errorf("reported %v", all)
		}
	})
}

// The loop's end is everybody's, in order, also when it is a Shutdown; nothing can
// be added then.
func TestTheLoopEnds(t *testing.T) {
	for name, end := range map[string]func(l *loop.Loop){
		"Stop": (*loop.Loop).Stop, "Shutdown": func(l *loop.Loop) { l.Shutdown(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *site) {
				a, b := s.pair()
				var order []int
				fakes := []*fake{{fd: a}, {fd: b}}
				for i, f := range fakes {
					f.gone = func() { order = append(order, i) }
					s.try(s.set.AddReader(f))
				}
				fakes[0].gone = func() {
					order = append(order, 0)
					panic("at the end")
				}
				s.Turn()
				end(s.l)
				for _, f := range fakes {
					s.lostBy(f, loop.ErrStopped)
				}
				if !slices.Equal(order, []int{0, 1}) || len(s.TakeTroubles()) != 1 {
					s.Errorf("told in the order %v", order)
				}
				if err := s.set.AddReader(fakes[0]); err != loop.ErrStopped {
					s.Errorf("AddReader afterwards: %v", err)
				}
			})
		})
	}
}

// What is no descriptor, or one of a kind that the backends do not know, is an
// error at once, and nothing is left of it.
func TestWhatCannotBeWatched(t *testing.T) {
	each(t, func(s *site) {
		if err := s.set.AddReader(&fake{fd: -1}); !errors.Is(err, syscall.EBADF) {
			s.Errorf("no descriptor: %v", err)
		}
		if s.Net == nil {
			fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET, 0)
			if err != nil {
				testenv.Missing(s, "no SOCK_SEQPACKET: %v", err)
			}
			defer syscall.Close(fds[0])
			defer syscall.Close(fds[1])
			had := len(testenv.Descriptors())
			if err := s.set.AddWriter(&fake{fd: fds[0]}); !errors.Is(err, syscall.EPROTONOSUPPORT) {
				s.Errorf("a socket of another type: %v", err)
			}
			if n := len(testenv.Descriptors()); n != had {
				s.Errorf("%d descriptors, were %d", n, had)
			}
		}
		s.idle()
	})
}

// An operation that fails is the descriptor's end, with its error.
func TestThePollFails(t *testing.T) {
	each(t, func(s *site) {
		fd, _ := s.pair()
		f := &fake{fd: fd}
		s.try(s.set.AddReader(f))
		w := s.set.watches[f]
		s.Turn()
		w.set.l.Cancel(&w.op)
		real := w.op.Owner
		w.op.Owner = failing{w, syscall.EIO}
		s.lostBy(f, syscall.EIO)
		w.op.Owner = real
		s.idle()
	})
}

// A failing has an operation of a watch end with another error.
type failing struct {
	w   *watch
	err error
}

func (f failing) Complete(op *proactor.Op) {
	op.Err = f.err
	f.w.Complete(op)
}
