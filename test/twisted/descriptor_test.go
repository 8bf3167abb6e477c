package twisted

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
	"mobius/transport/descriptor"
)

// A watcher is a FileDescriptor that notes what it is told.
type watcher struct {
	s     *scene
	name  string
	fd    int
	asked int // calls of FD
	read  func() error
	write func() error
	err   error
}

func (w *watcher) FD() int {
	w.asked++
	return w.fd
}

func (w *watcher) DoRead() error {
	w.s.note("%s reads", w.name)
	if w.read != nil {
		return w.read()
	}
	return nil
}

func (w *watcher) DoWrite() error {
	w.s.note("%s writes", w.name)
	if w.write != nil {
		return w.write()
	}
	return nil
}

func (w *watcher) ConnectionLost(err error) {
	w.err = err
	w.s.note("%s lost", w.name)
}

// streams returns two connected descriptors, the test's own.
func (s *scene) streams() (a, b int) {
	s.Helper()
	if s.Net != nil {
		a, b = s.Net.Pair()
		s.Cleanup(func() { _, _ = s.Net.CloseFile(a), s.Net.CloseFile(b) })
		return a, b
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _, _ = syscall.Close(fds[0]), syscall.Close(fds[1]) })
	return fds[0], fds[1]
}

// speaker makes a connection of the test's descriptor fd, to write on.
func (s *scene) speaker(fd int) *transport.Conn {
	s.Helper()
	sockets := s.l.Sockets()
	own, err := sockets.Duplicate(fd)
	if err != nil {
		s.Fatal(err)
	}
	h, err := sockets.Adopt(own)
	if err != nil {
		s.Fatal(err)
	}
	c := transport.NewConn(s.l, h, proactor.Address{}, proactor.Address{}, nil)
	c.Start(silence{})
	s.Cleanup(c.AbortConnection)
	return c
}

// silence is a protocol that does nothing.
type silence struct{}

func (silence) ConnectionMade(transport.Transport) {}
func (silence) DataReceived([]byte)                {}
func (silence) ConnectionLost(error)               {}

// watched runs a case on a set, a descriptor, and a connection to its other end.
func watched(t *testing.T, f func(s *scene, set *descriptor.Set, w *watcher, peer *transport.Conn)) {
	t.Helper()
	each(t, func(s *scene) {
		a, b := s.streams()
		f(s, descriptor.NewSet(s.l), &watcher{s: s, name: "w", fd: a}, s.speaker(b))
	})
}

func (s *scene) try(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func TestCase63RemovedReaderIsNotCalled(t *testing.T) {
	watched(t, func(s *scene, set *descriptor.Set, w *watcher, peer *transport.Conn) {
		s.try(set.AddReader(w))
		s.pass()
		s.expect() // nothing has come
		set.RemoveReader(w)
		_, err := peer.Write([]byte("x"))
		s.try(err)
		s.pass()
		s.expect()
	})
}

func TestReaderIsCalledWhileThereIsSomething(t *testing.T) {
	watched(t, func(s *scene, set *descriptor.Set, w *watcher, peer *transport.Conn) {
		times := 0
		w.read = func() error {
			if times++; times == 5 { // it takes nothing out: level semantics
				set.RemoveReader(w)
			}
			return nil
		}
		s.try(set.AddReader(w))
		s.try(set.AddReader(w)) // once more changes nothing
		_, err := peer.Write([]byte("x"))
		s.try(err)
		s.Until("five calls", func() bool { return times == 5 })
		s.pass()
		if times != 5 || len(set.Readers()) != 0 {
			s.Errorf("%d calls, readers %v", times, set.Readers())
		}
	})
}

func TestCase64WriterIsCalled(t *testing.T) {
	watched(t, func(s *scene, set *descriptor.Set, w *watcher, _ *transport.Conn) {
		w.write = func() error { set.RemoveWriter(w); return nil }
		s.try(set.AddWriter(w))
		s.await("w writes")
		s.pass()
		s.expect("w writes")
	})
}

func TestCase65RemovedWriterIsNotCalled(t *testing.T) {
	watched(t, func(s *scene, set *descriptor.Set, w *watcher, _ *transport.Conn) {
		s.try(set.AddWriter(w))
		set.RemoveWriter(w)
		s.pass()
		s.expect()
	})
}

func TestCase67RemoveAll(t *testing.T) {
	each(t, func(s *scene) {
		set := descriptor.NewSet(s.l)
		a, b := s.streams()
		r, w := &watcher{s: s, name: "r", fd: a}, &watcher{s: s, name: "w", fd: b}
		s.try(set.AddReader(r))
		s.try(set.AddWriter(w))
		s.try(set.AddWriter(r))
		if got := set.RemoveAll(); !slices.Equal(got, []descriptor.FileDescriptor{r, w}) {
			s.Errorf("removed %v, want each once, in order", got)
		}
		if n := len(set.Readers()) + len(set.Writers()) + len(set.RemoveAll()); n != 0 {
			s.Errorf("%d are left", n)
		}
		s.idle()
		s.expect()
	})
}

func TestCase68RemovedIsNeverAskedAgain(t *testing.T) {
	watched(t, func(s *scene, set *descriptor.Set, w *watcher, peer *transport.Conn) {
		s.try(set.AddReader(w))
		s.try(set.AddWriter(w))
		s.await("w writes")
		set.RemoveWriter(w)
		set.RemoveReader(w)
		asked := w.asked
		_, err := peer.Write([]byte("x"))
		s.try(err)
		s.pass()
		if w.asked != asked {
			s.Errorf("asked for its number %d times after the removal", w.asked-asked)
		}
	})
}

func TestCase69NumberThatWentAway(t *testing.T) {
	watched(t, func(s *scene, set *descriptor.Set, w *watcher, peer *transport.Conn) {
		w.read = func() error { w.fd = -1; return nil }
		s.try(set.AddReader(w))
		_, err := peer.Write([]byte("x"))
		s.try(err)
		s.await("w lost")
		s.pass()
		s.expect("w reads", "w lost")
		if w.err != descriptor.ErrGone || len(set.Readers()) != 0 {
			s.Errorf("lost by %v, readers %v", w.err, set.Readers())
		}
	})
}

func TestCase71LostAtTheLoopsEnd(t *testing.T) {
	watched(t, func(s *scene, set *descriptor.Set, w *watcher, _ *transport.Conn) {
		s.try(set.AddReader(w))
		other, _ := s.streams()
		both := &watcher{s: s, name: "both", fd: other}
		both.write = func() error { set.RemoveWriter(both); return nil }
		s.try(set.AddReader(both))
		s.try(set.AddWriter(both))
		s.await("both writes")
		s.l.Stop()
		s.Until("the loop has stopped", func() bool { return s.l.Err() != nil && s.has("both lost") })
		s.expect("both writes", "w lost", "both lost")
		if w.err != loop.ErrStopped || both.err != loop.ErrStopped {
			s.Errorf("lost by %v and %v", w.err, both.err)
		}
		if err := set.AddReader(w); err != loop.ErrStopped {
			s.Errorf("AddReader after the end: %v", err)
		}
	})
}

func TestCase72OwnDescriptorsAreNotListed(t *testing.T) {
	each(t, func(s *scene) {
		set := descriptor.NewSet(s.l)
		s.turns(3)
		if n := len(set.Readers()) + len(set.Writers()) + len(set.RemoveAll()); n != 0 {
			s.Errorf("%d descriptors of the loop's own", n)
		}
		woken := false
		done := make(chan error, 1)
		go func() { done <- s.l.Call(func() { woken = true }) }()
		s.try(<-done)
		s.Until("the loop was woken", func() bool { return woken })
	})
}

func TestCase73FilesAreAlwaysReady(t *testing.T) {
	each(t, func(s *scene) {
		var fd int
		if s.Net != nil {
			fd = s.Net.File()
			s.Cleanup(func() { _ = s.Net.CloseFile(fd) })
		} else {
			f, err := os.Create(filepath.Join(s.TempDir(), "file"))
			s.try(err)
			defer f.Close()
			fd = int(f.Fd())
		}
		set := descriptor.NewSet(s.l)
		w := &watcher{s: s, name: "w", fd: fd}
		reads, writes := 0, 0
		w.read = func() error { reads++; return nil }
		w.write = func() error { writes++; return nil }
		s.try(set.AddReader(w))
		s.try(set.AddWriter(w))
		s.Until("both are called again and again", func() bool { return reads > 3 && writes > 3 })
		set.RemoveAll()
		s.idle()
	})
}

func TestCase75ErrorEndsIt(t *testing.T) {
	broken := errors.New("broken")
	watched(t, func(s *scene, set *descriptor.Set, w *watcher, peer *transport.Conn) {
		w.read = func() error { return broken }
		s.try(set.AddReader(w))
		_, err := peer.Write([]byte("x"))
		s.try(err)
		s.await("w lost")
		s.pass()
		s.expect("w reads", "w lost")
		if w.err != broken {
			s.Errorf("lost by %v", w.err)
		}
		w.write = func() error { panic("in DoWrite") }
		s.try(set.AddWriter(w))
		s.await("w lost")
		var p *loop.PanicError
		if !errors.As(w.err, &p) {
			s.Errorf("lost by %v, want the panic", w.err)
		}
		s.panics(1)
	})
}

func TestCase76RemovalOfWhatWasNeverAdded(t *testing.T) {
	watched(t, func(s *scene, set *descriptor.Set, w *watcher, _ *transport.Conn) {
		set.RemoveReader(w)
		set.RemoveWriter(w)
		s.turns(2)
		s.expect()
		if w.asked != 0 {
			s.Errorf("asked for its number %d times", w.asked)
		}
	})
}

func TestCase77SignalsInterruptTheWait(t *testing.T) {
	watched(t, func(s *scene, set *descriptor.Set, w *watcher, _ *transport.Conn) {
		s.try(set.AddReader(w))
		sent := make(chan error, 1)
		go func() {
			for range 50 {
				if err := syscall.Kill(os.Getpid(), syscall.SIGURG); err != nil { // Go's own; it is ignored
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		var err error
		over := s.Net != nil // there nothing waits for real
		if over {
			err = <-sent
		}
		s.Until("all signals are sent", func() bool {
			select {
			case err = <-sent:
				over = true
			default:
			}
			return over
		})
		s.try(err)
		s.expect()
		set.RemoveReader(w)
	})
}

func TestCase79WriterThatCanWriteNothingStays(t *testing.T) {
	watched(t, func(s *scene, set *descriptor.Set, w *watcher, _ *transport.Conn) {
		times := 0
		w.write = func() error { times++; return nil } // 0 bytes this time, and no error
		s.try(set.AddWriter(w))
		s.Until("it is asked again", func() bool { return times > 2 })
		if !slices.Equal(set.Writers(), []descriptor.FileDescriptor{w}) || s.has("w lost") {
			s.Errorf("writers %v", set.Writers())
		}
		set.RemoveWriter(w)
	})
}

// A number that is closed and given out again while a poll of it is active
// brings nothing to the old owner, nor costs the new one anything.
func TestDescriptorNumberUsedAgain(t *testing.T) {
	each(t, func(s *scene) {
		if s.Net != nil {
			return // there numbers are never used again
		}
		set := descriptor.NewSet(s.l)
		a, b := s.streams()
		w := &watcher{s: s, name: "w", fd: a}
		s.try(set.AddReader(w))
		s.turns(2) // the kernel has the poll
		set.RemoveReader(w)
		s.try(syscall.Close(a))
		ready, err := syscall.Dup(b)
		s.try(err)
		defer syscall.Close(ready)
		if ready != a {
			s.Fatalf("descriptor %d, want %d again", ready, a)
		}
		p := s.listen(s.silent("server")) // more numbers are taken meanwhile
		next := &watcher{s: s, name: "next", fd: ready}
		next.write = func() error { set.RemoveWriter(next); return nil }
		s.try(set.AddWriter(next))
		s.await("next writes")
		s.stop(p)
		s.pass()
		s.expect("next writes")
	})
}

func TestOwnerDoesAnythingInsideItsCallback(t *testing.T) {
	watched(t, func(s *scene, set *descriptor.Set, w *watcher, _ *transport.Conn) {
		other, _ := s.streams()
		next := &watcher{s: s, name: "next", fd: other}
		next.write = func() error { set.RemoveAll(); return nil }
		w.write = func() error {
			set.RemoveWriter(w)
			if err := set.AddWriter(w); err != nil {
				return err
			}
			set.RemoveWriter(w)
			return set.AddWriter(next)
		}
		s.try(set.AddWriter(w))
		s.await("next writes")
		s.pass()
		s.expect("w writes", "next writes")
	})
}

// A halfWatcher goes on writing when reading has ended.
type halfWatcher struct{ watcher }

func (w *halfWatcher) ReadConnectionLost()  { w.s.note("%s read lost", w.name) }
func (w *halfWatcher) WriteConnectionLost() {}

func TestEndOfInputOfAHalfCloser(t *testing.T) {
	each(t, func(s *scene) {
		a, b := s.streams()
		set := descriptor.NewSet(s.l)
		w := &halfWatcher{watcher{s: s, name: "w", fd: a}}
		w.read = func() error { return io.EOF }
		s.try(set.AddReader(w))
		s.try(set.AddWriter(w))
		s.speaker(b).LoseWriteConnection()
		s.await("w read lost")
		if len(set.Readers()) != 0 || len(set.Writers()) != 1 || s.has("w lost") {
			s.Errorf("readers %v, writers %v, lost %v", set.Readers(), set.Writers(), w.err)
		}
		set.RemoveAll()
	})
}

func TestDescriptorThatIsNone(t *testing.T) {
	each(t, func(s *scene) {
		set := descriptor.NewSet(s.l)
		w := &watcher{s: s, name: "w", fd: -1}
		if err := set.AddReader(w); !errors.Is(err, syscall.EBADF) {
			s.Errorf("AddReader of -1: %v, want EBADF", err)
		}
		if len(set.Readers()) != 0 {
			s.Error("it is a reader nevertheless")
		}
	})
}
