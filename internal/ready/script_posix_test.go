//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package ready

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// A script is a Selector whose events come from the test.
type script struct {
	t       *testing.T
	added   []proactor.Handle
	removed []proactor.Handle
	events  [][]Event // one entry for each Wait that finds something
	waits   []time.Duration
	wakes   atomic.Int32
	refuse  error // Add's answer
	closed  bool
	onWait  func()
}

func (s *script) Name() string { return "script" }

func (s *script) Affinity() proactor.Affinity { return proactor.OneThread }

func (s *script) Add(h proactor.Handle) error {
	s.added = append(s.added, h)
	return s.refuse
}

func (s *script) AddChild(h proactor.Handle, _ int) error { return s.Add(h) }

func (s *script) Remove(h proactor.Handle) error {
	s.removed = append(s.removed, h)
	return nil
}

func (s *script) Wait(out []Event, timeout time.Duration) (int, error) {
	s.waits = append(s.waits, timeout)
	if s.onWait != nil {
		s.onWait()
	}
	if len(s.events) == 0 {
		return 0, nil
	}
	n := copy(out, s.events[0])
	s.events = s.events[1:]
	return n, nil
}

func (s *script) Wake() {
	if s.closed {
		s.t.Error("Wake of a closed selector")
	}
	s.wakes.Add(1)
}

func (s *script) Close() error { s.closed = true; return nil }

// scripted returns a backend whose events the test makes.
func scripted(t *testing.T, o Options) (*Backend, *script) {
	t.Helper()
	runtime.LockOSThread()
	s := &script{t: t}
	b, err := New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
	return b, s
}

// A probe is an op that writes down its results.
type probe struct {
	proactor.Op
	got  []byte
	errs []error // of last completions
	on   func()
}

func (p *probe) Complete(op *proactor.Op) {
	p.got = append(p.got, op.Buf...)
	if !op.More {
		p.errs = append(p.errs, op.Err)
	}
	if p.on != nil {
		p.on()
	}
}

// stream returns one end of a TCP connection as a handle, and the other.
func stream(t *testing.T, b *Backend) (proactor.Handle, int) {
	t.Helper()
	l, bound, err := b.Listen(must(proactor.ParseAddress("tcp", "127.0.0.1:0")), nil)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	to := &unix.SockaddrInet4{Port: int(bound.Port()), Addr: [4]byte{127, 0, 0, 1}}
	if err := testenv.Again(func() error { return unix.Connect(fd, to) }); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := testenv.Again(func() (err error) { n, _, err = unix.Accept(int(l.Index())); return err }); err != nil {
		t.Fatal(err)
	}
	h, err := b.Adopt(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.CloseFD(l); err != nil {
		t.Fatal(err)
	}
	return h, fd
}

func must(a proactor.Address, err error) proactor.Address {
	if err != nil {
		panic(err)
	}
	return a
}

func (p *probe) start(b *Backend, kind proactor.Kind, h proactor.Handle) *probe {
	p.Kind, p.Handle, p.Owner = kind, h, p
	b.Submit(&p.Op)
	return p
}

func poll(t *testing.T, b *Backend) {
	t.Helper()
	if err := b.Poll(0); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, fd int, text string) {
	t.Helper()
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// A short read has shown that nothing is left: there is no second one until an
// event says so.
func TestShortReadWaitsForTheNextEdge(t *testing.T) {
	b, s := scripted(t, Options{})
	h, peer := stream(t, b)
	p := new(probe).start(b, proactor.OpRecv, h)
	poll(t, b)
	if len(s.added) != 1 || s.added[0] != h || len(p.got) != 0 {
		t.Fatalf("added %v, got %q", s.added, p.got)
	}
	write(t, peer, "one")
	s.events = [][]Event{{{h, Readable | Writable}}}
	poll(t, b)
	if string(p.got) != "one" {
		t.Fatalf("got %q", p.got)
	}
	write(t, peer, "two")
	poll(t, b)
	if string(p.got) != "one" {
		t.Errorf("got %q: a read was made that no event had asked for", p.got)
	}
	s.events = [][]Event{{{h, Readable}}}
	poll(t, b)
	if string(p.got) != "onetwo" || len(s.added) != 1 {
		t.Errorf("got %q, added %d times", p.got, len(s.added))
	}
}

// A stream whose latest piece was small is read into the small buffers, from where
// nothing is moved; what is more than they take comes with the same event.
func TestAfterASmallPieceTheNextIsReadInPlace(t *testing.T) {
	b, s := scripted(t, Options{ReadBuffer: 640}) // pieces of up to 10 bytes are small
	h, peer := stream(t, b)
	p := new(probe).start(b, proactor.OpRecv, h)
	var sizes []int
	var small, inPlace []bool
	p.on = func() {
		sizes = append(sizes, len(p.Buf))
		large := b.lender.large.room(1)
		small = append(small, b.lender.from == &b.lender.small)
		inPlace = append(inPlace, large[0] == 0)
		large[0] = 0
	}
	poll(t, b)
	for _, text := range []string{"one", "two", "a long one", "and a longer one", "four", "5"} {
		write(t, peer, text)
		s.events = [][]Event{{{h, Readable}}}
		poll(t, b)
	}
	if string(p.got) != "onetwoa long oneand a longer onefour5" {
		t.Errorf("got %q", p.got)
	}
	// "a long one" fills the small room, so it is read on; 16 bytes go the large way.
	if !slices.Equal(sizes, []int{3, 3, 10, 16, 4, 1}) {
		t.Errorf("pieces of %v bytes", sizes)
	}
	if !slices.Equal(small, []bool{true, true, true, false, true, true}) ||
		!slices.Equal(inPlace, []bool{false, true, true, false, false, true}) {
		t.Errorf("in small buffers: %v, read into them: %v", small, inPlace)
	}
}

func TestMoreThanSmallRoomComesWithOneEvent(t *testing.T) {
	b, s := scripted(t, Options{ReadBuffer: 640})
	h, peer := stream(t, b)
	p := new(probe).start(b, proactor.OpRecv, h)
	poll(t, b)
	for _, text := range []string{"brief", "what is long comes in two pieces"} {
		write(t, peer, text)
		s.events = [][]Event{{{h, Readable}}}
		poll(t, b)
	}
	if string(p.got) != "briefwhat is long comes in two pieces" {
		t.Errorf("got %q", p.got)
	}
}

// The end behind the bytes makes no event of its own.
func TestHangUpIsReadToTheEnd(t *testing.T) {
	b, s := scripted(t, Options{})
	h, peer := stream(t, b)
	p := new(probe).start(b, proactor.OpRecv, h)
	poll(t, b)
	write(t, peer, "last words")
	unix.Shutdown(peer, unix.SHUT_WR)
	s.events = [][]Event{{{h, Readable | HangUp}}}
	for range 3 {
		poll(t, b)
	}
	if string(p.got) != "last words" || len(p.errs) != 1 || p.errs[0] != io.EOF {
		t.Errorf("got %q, %v", p.got, p.errs)
	}
}

func TestEventOfAnotherGenerationIsDropped(t *testing.T) {
	b, s := scripted(t, Options{})
	h, peer := stream(t, b)
	p := new(probe).start(b, proactor.OpRecv, h)
	poll(t, b)
	write(t, peer, "x")
	s.events = [][]Event{{{proactor.MakeHandle(h.Index(), h.Generation()+1), Readable | HangUp}}}
	poll(t, b)
	if len(p.got) != 0 || b.Stats().Stale != 1 {
		t.Errorf("got %q, %d stale events", p.got, b.Stats().Stale)
	}
}

func TestPanicLosesNoEvents(t *testing.T) {
	b, s := scripted(t, Options{})
	h1, peer1 := stream(t, b)
	h2, peer2 := stream(t, b)
	bad, good := new(probe).start(b, proactor.OpRecv, h1), new(probe).start(b, proactor.OpRecv, h2)
	poll(t, b)
	write(t, peer1, "boo")
	unix.Shutdown(peer1, unix.SHUT_WR)
	write(t, peer2, "fine")
	bad.on = func() { bad.on = nil; panic("in Complete") }
	s.events = [][]Event{{{h1, Readable | HangUp}, {h2, Readable}}}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		poll(t, b)
	}()
	for range 3 {
		poll(t, b)
	}
	if string(good.got) != "fine" {
		t.Errorf("the event behind the panic brought %q", good.got)
	}
	if len(bad.errs) != 1 || bad.errs[0] != io.EOF {
		t.Errorf("the stream whose owner panicked does not go on: %v", bad.errs)
	}
}

func TestWakeTellsTheSelectorOncePerSleep(t *testing.T) {
	b, s := scripted(t, Options{})
	b.Wake()
	b.Wake()
	if s.wakes.Load() != 0 {
		t.Error("the selector was told although the loop was awake")
	}
	if err := b.Poll(time.Hour); err != nil || len(s.waits) != 1 || s.waits[0] != 0 {
		t.Errorf("%v; waits %v", err, s.waits)
	}
	s.onWait = func() { b.Wake(); b.Wake() }
	if err := b.Poll(time.Hour); err != nil || s.wakes.Load() != 1 {
		t.Errorf("%v; told %d times", err, s.wakes.Load())
	}
	s.onWait = nil
	if b.Stats().Woken != 2 {
		t.Errorf("Woken is %d", b.Stats().Woken)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b.Wake() // script complains if this gets through
}

func TestFilesThatCannotBeWatched(t *testing.T) {
	b, s := scripted(t, Options{})
	s.refuse = ErrUnwatchable
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	h, err := b.Adopt(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	write(t, fds[1], "text")
	p := new(probe).start(b, proactor.OpRecv, h)
	poll(t, b)
	if string(p.got) != "text" {
		t.Errorf("got %q", p.got)
	}
}

func TestWatchingFails(t *testing.T) {
	b, s := scripted(t, Options{})
	s.refuse = unix.ENOSPC
	h, _ := stream(t, b)
	p := new(probe).start(b, proactor.OpRecv, h)
	poll(t, b)
	if len(p.errs) != 1 || !errors.Is(p.errs[0], unix.ENOSPC) {
		t.Errorf("%v", p.errs)
	}
}

func TestDetachForgetsTheDescriptor(t *testing.T) {
	b, s := scripted(t, Options{})
	h, peer := stream(t, b)
	p := new(probe).start(b, proactor.OpRecv, h)
	poll(t, b)
	if _, err := b.Detach(h); err != proactor.ErrBusy {
		t.Errorf("Detach of a busy handle: %v", err)
	}
	b.Cancel(&p.Op)
	poll(t, b)
	fd, err := b.Detach(h)
	if err != nil || len(s.removed) != 1 || s.removed[0] != h {
		t.Fatalf("%v, removed %v", err, s.removed)
	}
	again, err := b.Adopt(fd)
	if err != nil {
		t.Fatal(err)
	}
	write(t, peer, "still here")
	p.start(b, proactor.OpRecv, again)
	poll(t, b)
	s.events = [][]Event{{{again, Readable}}}
	poll(t, b)
	if string(p.got) != "still here" {
		t.Errorf("got %q", p.got)
	}
}

// TryWrite finds the kind of a handle where the loop keeps it, but never by a handle that is not open.
func TestTryWriteOfClosedHandles(t *testing.T) {
	b, _ := scripted(t, Options{})
	h, peer := stream(t, b)
	p := new(probe).start(b, proactor.OpRecv, h)
	poll(t, b)
	if n, err := b.TryWrite(h, [][]byte{[]byte("text")}); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := b.TryWrite(h, [][]byte{nil}); n != 0 || err != nil {
		t.Errorf("of nothing: %d, %v", n, err)
	}
	b.Cancel(&p.Op)
	poll(t, b)
	if err := b.CloseFD(h); err != nil {
		t.Fatal(err)
	}
	again, _ := stream(t, b)
	for _, stale := range []proactor.Handle{h, 0, proactor.MakeHandle(again.Index(), again.Generation()+1)} {
		if n, err := b.TryWrite(stale, [][]byte{[]byte("text")}); n != 0 || err != proactor.ErrClosed {
			t.Errorf("of %v: %d, %v", stale, n, err)
		}
	}
	got := make([]byte, 9)
	if n, err := unix.Read(peer, got); n != 4 || err != nil {
		t.Errorf("%q, %v", got[:n], err)
	}
}

// A Poll that completes something in its flush ends without a Wait, but two
// such Polls do not follow each other.
func TestFlushesDoNotHideEvents(t *testing.T) {
	b, s := scripted(t, Options{})
	p := &probe{}
	p.on = func() { b.Submit(&p.Op) } // completes in each flush: its handle is stale
	p.start(b, proactor.OpRecv, 0)
	for range 10 {
		poll(t, b)
	}
	if n := len(s.waits); n < 4 || n > 6 {
		t.Errorf("%d waits in 10 Polls, want 5", n)
	}
	for _, timeout := range s.waits {
		if timeout != 0 {
			t.Errorf("a Wait of %v after a completion", timeout)
		}
	}
	p.on = nil
	poll(t, b)
}
