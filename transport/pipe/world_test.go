package pipe

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

// A site is a world with one loop.
type site struct {
	*backends.World
	l *loop.Loop
}

func each(t *testing.T, f func(s *site)) {
	backends.Each(t, func(w *backends.World) { f(&site{w, w.Loop()}) })
}

func eachReal(t *testing.T, f func(s *site)) {
	backends.EachReal(t, func(w *backends.World) { f(&site{w, w.Loop()}) })
}

// simulated is a site with so many bytes in a pipe.
func simulated(t *testing.T, room int) *site {
	w := backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults, StreamBuffer: room})
	return &site{w, w.Loop()}
}

func (s *site) try(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *site) adopt(fd int) proactor.Handle {
	s.Helper()
	h, err := s.l.Sockets().Adopt(fd)
	s.try(err)
	return h
}

// pipe returns handles of the two ends of a pipe, or of what plays one.
func (s *site) pipe() (r, w proactor.Handle) {
	s.Helper()
	if s.Net != nil {
		a, b := s.Net.Pair()
		return s.adopt(a), s.adopt(b)
	}
	var fds [2]int
	s.try(syscall.Pipe(fds[:]))
	return s.adopt(fds[0]), s.adopt(fds[1])
}

// live returns the number of open handles.
func (s *site) live() int { return s.l.Backend().Stats().Handles }

// A far is the other end of a pipe, or both: what is read, and how it ended.
type far struct {
	s      *site
	events []string
	got    []byte
	err    error
	on     func(p []byte)
}

func (f *far) note(event string) { f.events = append(f.events, event) }

func (f *far) Received(_ *Reader, p []byte) {
	f.got = append(f.got, p...)
	if f.on != nil {
		f.on(p)
	}
}

func (f *far) Ended(_ *Reader, err error) {
	f.err = err
	f.note("ended")
}

func (f *far) Full(*Writer)    { f.note("full") }
func (f *far) Drained(*Writer) { f.note("drained") }

func (f *far) Closed(_ *Writer, err error) {
	f.err = err
	f.note("closed")
}

func (f *far) has(event string) bool { return slices.Contains(f.events, event) }

func (f *far) expect(want ...string) {
	f.s.Helper()
	if !slices.Equal(f.events, want) {
		f.s.Errorf("events %q, want %q", f.events, want)
	}
	f.events = nil
}

// await waits for an event.
func (f *far) await(event string) {
	f.s.Helper()
	f.s.Until(event, func() bool { return f.has(event) })
}

// A user is the protocol of a stream.
type user struct {
	far
	t    transport.Transport
	lost int
}

func (u *user) ConnectionMade(t transport.Transport) { u.t = t }
func (u *user) DataReceived(p []byte)                { u.Received(nil, p) }

func (u *user) ConnectionLost(err error) {
	u.lost++
	u.Ended(nil, err)
}

// roomy are limits that nothing here meets.
var roomy = Limits{High: 1 << 20, Low: 1 << 10, Hard: 1 << 24}

// stream starts a stream, and returns the other ends: feed writes what it reads,
// drain reads what it writes.
func (s *site) stream(limits Limits) (u *user, feed *Writer, drain *far) {
	s.Helper()
	in, source := s.pipe()
	sink, out := s.pipe()
	u = &user{far: far{s: s}}
	Start(s.l, in, out, limits, u)
	drain = &far{s: s}
	NewReader(s.l, sink, false, drain)
	return u, NewWriter(s.l, source, false, roomy, &far{s: s}), drain
}

// panics checks that so many panics were reported.
func (s *site) panics(n int) {
	s.Helper()
	all := s.TakeTroubles()
	if len(all) != n {
		s.Errorf("%d troubles, want %d panics: %v", len(all), n, all)
	}
	for _, t := range all {
		if t.Kind != loop.Panicked || !strings.Contains(string(t.Stack), "panic") {
			s.Errorf("reported %v, with the stack %s", t, t.Stack)
		}
	}
}
