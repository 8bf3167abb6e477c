package proxy

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/test/backends"
)

// A starved is a backend on which sockets fail as a test wants it.
type starved struct {
	proactor.Backend
	stream  error // of Stream
	packet  error // of Packet
	options error // of SetOptions
}

func (b *starved) Stream(to proactor.Address, o *proactor.SocketOptions) (proactor.Handle, error) {
	if b.stream != nil {
		return 0, b.stream
	}
	return b.Backend.Stream(to, o)
}

func (b *starved) Packet(at proactor.Address, o *proactor.SocketOptions) (proactor.Handle, proactor.Address, error) {
	if b.packet != nil {
		return 0, proactor.Address{}, b.packet
	}
	return b.Backend.Packet(at, o)
}

func (b *starved) SetOptions(h proactor.Handle, o *proactor.SocketOptions) error {
	if b.options != nil {
		return b.options
	}
	return b.Backend.SetOptions(h, o)
}

// newStarved returns a strait whose proxy lives on a starved loop, and its log.
func newStarved(t *testing.T, at string, o DatagramOptions) (s *strait, b *starved, log *bytes.Buffer) {
	w := backends.Simulate(t, quiet)
	b, log = &starved{Backend: w.Open()}, &bytes.Buffer{}
	s = newStrait(w, 1, DatagramOptions{})
	s.mid = w.LoopOn(b, loop.Options{Log: slog.New(slog.NewTextHandler(log, nil))})
	s.d.Drain()
	s.reports = nil
	o.Route, o.History = s.router, true
	o.Report = FlowReporterFunc(func(r *FlowReport) { s.reports = append(s.reports, *r) })
	var err error
	if s.d, err = NewDatagrams([]*loop.Loop{s.mid}, o); err == nil {
		err = s.d.Listen(s.udp(at))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, b, log
}

// A flood of clients for whom there are no descriptors is counted and said, and
// not reported client by client; afterwards clients are served again.
func TestFloodWithoutDescriptorsIsNotReportedEach(t *testing.T) {
	s, b, log := newStarved(t, "127.0.0.1:0", DatagramOptions{})
	defer metronome(s.near, s.mid, s.far)()
	b.packet = syscall.EMFILE
	for i := range 30 {
		s.client().say("hello", s.d.Addrs()[0])
		if i%10 == 9 {
			s.Pass(s.mid, tellEvery-time.Second)
		}
	}
	s.Until("all have come", func() bool { return s.d.Status().Refused == 30 })
	st := s.d.Status()
	if st.Accepted != 0 || st.Live != 0 || len(s.reports) != 0 || len(st.Reports) != 0 || st.Upstreams[0].Live != 0 ||
		!strings.Contains(st.Trouble, "too many open files") {
		t.Errorf("the status is %+v, and there are %d reports", st, len(s.reports))
	}
	if n := strings.Count(log.String(), "too many open files"); n < 1 || n > 3 {
		t.Errorf("%d lines for 30 datagrams:\n%s", n, log)
	}
	b.packet = nil
	c := s.client()
	c.asks("and now")
	if st := s.d.Status(); st.Trouble != "" || st.Live != 1 {
		t.Errorf("the status is %+v", st)
	}
	s.closes()
}

// A lack of descriptors here does not keep an upstream that is down from being
// tried by the next client.
func TestLackOfDescriptorsSparesTheUpstream(t *testing.T) {
	s, b, _ := newStarved(t, "127.0.0.1:0", DatagramOptions{})
	u := s.router.Upstreams()[0]
	u.rest(0, errors.New("it was down"))
	defer metronome(s.near, s.mid, s.far)()
	s.Pass(s.mid, 2*firstRest)
	b.packet = syscall.EMFILE
	s.client().say("hello", s.d.Addrs()[0])
	s.Until("refused", func() bool { return s.d.Status().Refused == 1 })
	if !u.available(s.mid.Now()) {
		t.Error("the upstream was not tried, and nobody may try it")
	}
	s.closes()
}

// The limit of clients is said, too; a drain and a filter's no are not trouble.
func TestFlowLimitIsSaid(t *testing.T) {
	s, _, log := newStarved(t, "127.0.0.1:0", DatagramOptions{MaxFlows: 1, Accept: shy{}})
	s.client().say("no", s.d.Addrs()[0])
	s.Until("refused", func() bool { return s.d.Status().Refused == 1 })
	if text := s.d.Status().Trouble; text != "" || log.Len() > 0 {
		t.Errorf("a filter's no is trouble: %q, %s", text, log)
	}
	s.client().asks("yes")
	s.client().say("yes, too", s.d.Addrs()[0])
	s.Until("refused", func() bool { return s.d.Status().Refused == 2 })
	if text := s.d.Status().Trouble; text != errManyFlows.Error() || !strings.Contains(log.String(), "MaxFlows") {
		t.Errorf("the trouble is %q, the log %s", text, log)
	}
	s.closes()
}

// A shy filter serves every client but the first.
type shy struct{}

func (shy) AcceptFlow(f *Flow) error {
	if f.door.refused.Load() == 0 {
		return errors.New("not yet")
	}
	return nil
}

// What waits for a flow's socket is bounded by bytes, too.
func TestWaitingDatagramsAreBoundedByBytes(t *testing.T) {
	s, _, _ := newStarved(t, "127.0.0.1:0", DatagramOptions{})
	c, r := s.client(), s.d.all()[0]
	big := make([]byte, maxWaits/4)
	for range maxWaiting {
		r.DatagramReceived(big, c.port.LocalAddr())
	}
	if f := r.list[0]; f.state != connecting || f.waits > maxWaits || len(f.waiting) != 4 {
		t.Errorf("%d datagrams of %d bytes wait, state %d", len(f.waiting), f.waits, f.state)
	}
	if n := s.d.Status().Dropped; n != maxWaiting-4 {
		t.Errorf("%d datagrams were dropped", n)
	}
	s.Until("they are sent", func() bool { return len(s.upstreams[0].got) == 4 })
	s.closes()
}

// Where the system does not tell which address was asked, that is said.
func TestAnswersFromAnotherAddressAreSaid(t *testing.T) {
	w := backends.Simulate(t, quiet)
	b, log := &starved{Backend: w.Open(), options: proactor.ErrUnsupported}, &bytes.Buffer{}
	l := w.LoopOn(b, loop.Options{Log: slog.New(slog.NewTextHandler(log, nil))})
	s := &strait{World: w, near: l, mid: l, far: l}
	router, err := NewRoundRobin(s.udp("127.0.0.1:9"))
	if err == nil {
		s.d, err = NewDatagrams([]*loop.Loop{l}, DatagramOptions{Route: router})
	}
	for _, at := range []string{"127.0.0.1:0", "0.0.0.0:0", ":0"} {
		if err == nil {
			err = s.d.Listen(s.udp(at))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "answers come from"); n != 2 {
		t.Errorf("%d lines, want one for each wildcard:\n%s", n, log)
	}
	s.closes()
}

// A datagram of which a part is missing is not passed on, and begins no flow.
func TestTruncatedDatagramIsDropped(t *testing.T) {
	s, _, _ := newStarved(t, "127.0.0.1:0", DatagramOptions{})
	c, r := s.client(), s.d.all()[0]
	r.DatagramInfo([]byte("a par"), c.port.LocalAddr(), &proactor.Msg{Truncated: true})
	if st := s.d.Status(); st.Dropped != 1 || st.Accepted != 0 {
		t.Errorf("the status is %+v", st)
	}
	c.asks("whole")
	f := r.list[0]
	f.DatagramInfo([]byte("a par"), f.port.RemoteAddr(), &proactor.Msg{Truncated: true})
	f.DatagramInfo([]byte("not from there"), c.port.LocalAddr(), &proactor.Msg{})
	if st := s.d.Status(); st.Dropped != 3 || st.Received.Datagrams != 1 {
		t.Errorf("the status is %+v", st)
	}
	s.closes()
}

// An upstream that was down is up with its first answer.
func TestAnswerMarksTheUpstreamUp(t *testing.T) {
	s, _, _ := newStarved(t, "127.0.0.1:0", DatagramOptions{})
	u := s.router.Upstreams()[0]
	u.rest(0, errors.New("it was down"))
	if s.d.Status().Upstreams[0].Up {
		t.Error("it is up without an answer")
	}
	s.client().asks("anybody?")
	if st := s.d.Status().Upstreams[0]; !st.Up || st.Error != "" {
		t.Errorf("it has answered, and its status is %+v", st)
	}
	s.closes()
}

// A lack of descriptors here is not taken for a failure of the upstream's, and
// no other upstream is tried for it.
func TestLackOfDescriptorsForStreams(t *testing.T) {
	w := backends.Simulate(t, quiet)
	b := &starved{Backend: w.Open(), stream: syscall.EMFILE}
	s := &layered{World: w, near: w.Loop(), mid: w.LoopOn(b, loop.Options{}), far: w.Loop()}
	at := s.Address()
	route, err := RoundRobinOf(NewUpstream(at), NewUpstream(at))
	if err != nil {
		t.Fatal(err)
	}
	s.start(Options{Route: route})
	client := s.dial()
	client.endsBadly()
	r := s.report(1, NoUpstream, Server)
	if !errors.Is(r.Err, syscall.EMFILE) || r.Attempts != 1 {
		t.Errorf("the report says %+v", r)
	}
	for _, u := range s.p.Status().Upstreams {
		if !u.Up || u.Failed != 0 {
			t.Errorf("an upstream is said to be %+v", u)
		}
	}
	b.stream = nil
	s.drained()
}
