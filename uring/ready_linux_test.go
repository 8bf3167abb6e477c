//go:build linux && (amd64 || arm64)

package uring

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A single is the owner of one op.
type single struct {
	op   proactor.Op
	on   func() // called at each completion
	n    int    // completions
	last proactor.Op
}

func (s *single) Complete(op *proactor.Op) {
	s.n++
	s.last = *op
	if s.on != nil {
		s.on()
	}
}

// start submits op, to which it is the owner.
func start(b *Backend, op proactor.Op) *single {
	s := &single{op: op}
	s.op.Owner = s
	b.Submit(&s.op)
	return s
}

// idle reports whether the op has ended.
func (s *single) idle() bool { return !s.op.Active() }

// wait polls until the op has ended.
func (s *single) wait(t testing.TB, b *Backend) proactor.Op {
	t.Helper()
	until(t, b, "it ends: "+s.op.Kind.String(), s.idle)
	return s.last
}

// poll submits an OpPoll.
func poll(b *Backend, h proactor.Handle, events proactor.Events) *single {
	return start(b, proactor.Op{Kind: proactor.OpPoll, Handle: h, Events: events})
}

// pass polls for d.
func pass(t testing.TB, b *Backend, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := b.Poll(time.Until(end)); err != nil {
			t.Fatal(err)
		}
	}
}

const both = proactor.Readable | proactor.Writable

// Files and directories cannot be polled by epoll: they are always ready.
func TestPollOfWhatIsAlwaysReady(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		file, err := os.Create(t.TempDir() + "/file")
		if err != nil {
			t.Fatal(err)
		}
		dir, err := os.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []*os.File{file, dir, null} {
			h := adopt(t, b, f)
			for range 3 {
				if op := poll(b, h, both).wait(t, b); op.Err != nil || op.Events != both {
					t.Errorf("%s: events %b, %v", f.Name(), op.Events, op.Err)
				}
			}
		}
	})
}

// At both ends of a pipe whose other end is closed a call returns at once.
func TestPollOfPipesThatEnd(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		for _, reads := range []bool{true, false} {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			mine, other, want := r, w, proactor.Readable
			if !reads {
				mine, other, want = w, r, proactor.Writable
			}
			h := adopt(t, b, mine)
			if !reads {
				fill(t, int(h.Index()))
			}
			p := poll(b, h, want)
			pass(t, b, 10*time.Millisecond)
			if p.n != 0 {
				t.Errorf("%v: ready with events %b", want, p.last.Events)
			}
			_ = other.Close()
			if op := p.wait(t, b); op.Err != nil || op.Events != want|proactor.Failed {
				t.Errorf("%v: events %b, %v", want, op.Events, op.Err)
			}
		}
	})
}

// The hang-up of a peer that has ended its side is no room: the poll goes on,
// without spinning, until there is some.
func TestPollForRoomOfAHalfClosedPeer(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		h, peer := halfClosed(t, b)
		fill(t, int(h.Index()))
		p := poll(b, h, proactor.Writable)
		pass(t, b, 20*time.Millisecond)
		enters := b.Stats().Enters
		pass(t, b, 100*time.Millisecond)
		if n := b.Stats().Enters - enters; n > 10 {
			t.Errorf("%d enters while there is no room", n)
		}
		if p.n != 0 {
			t.Fatalf("ready with events %b", p.last.Events)
		}
		go func() {
			for buf := make([]byte, 1<<20); ; {
				if _, err := peer.Read(buf); err != nil {
					return
				}
			}
		}()
		if op := p.wait(t, b); op.Err != nil || op.Events != proactor.Writable || p.n != 1 {
			t.Errorf("events %b, %v, %d completions", op.Events, op.Err, p.n)
		}
		if op := poll(b, h, both).wait(t, b); op.Err != nil || op.Events&both != both { // its end can be read
			t.Errorf("events %b, %v", op.Events, op.Err)
		}
		again := poll(b, h, 0)
		pass(t, b, 20*time.Millisecond)
		b.Cancel(&again.op)
		if op := again.wait(t, b); op.Err != proactor.ErrCanceled {
			t.Errorf("a poll for nothing ends with %v, events %b", op.Err, op.Events)
		}
	})
}

// fill writes to a socket until it takes no more for a while.
func fill(t *testing.T, fd int) {
	t.Helper()
	page := make([]byte, 64<<10)
	for {
		switch _, err := unix.Write(fd, page); err {
		case nil:
		case unix.EAGAIN: // what was sent may be on its way into the peer's buffer
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			if _, err := unix.Poll(p, 20); err == nil && p[0].Revents&unix.POLLOUT == 0 {
				return
			}
		default:
			t.Fatal(err)
		}
	}
}

// The owner of an adopted descriptor closes it while it is polled: nothing
// happens to the op, which can be cancelled, and nobody else is touched.
func TestPollOfADescriptorThatItsOwnerCloses(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		h := adopt(t, b, r)
		several := []*single{poll(b, h, proactor.Readable), poll(b, h, proactor.Readable), poll(b, h, proactor.Readable)}
		pass(t, b, time.Millisecond)
		if err := b.CloseFD(h); err != proactor.ErrBusy {
			t.Errorf("CloseFD: %v", err)
		}
		if err := unix.Close(int(h.Index())); err != nil {
			t.Fatal(err)
		}
		for _, p := range several {
			b.Cancel(&p.op)
			if op := p.wait(t, b); op.Err != proactor.ErrCanceled {
				t.Errorf("ends with events %b, %v", op.Events, op.Err)
			}
		}
		if fd, err := b.Detach(h); err != nil || fd != int(h.Index()) {
			t.Errorf("Detach: %d, %v", fd, err)
		}
	})
}
