package proxy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mobius/proactor"
)

// A sniffer is a Filter that reads the first line before it decides.
type sniffer struct {
	refuse string // lines that begin with it are refused
	seen   []string
}

var errRefusedLine = errors.New("this line is refused")

type sniff struct {
	f    *sniffer
	s    *Session
	recv proactor.Op
	line []byte
}

func (f *sniffer) Accept(s *Session) {
	x := &sniff{f: f, s: s}
	s.Value = x
	x.recv = proactor.Op{Kind: proactor.OpRecv, Handle: s.Client(), Owner: x, Limit: 4}
	s.Loop().Submit(&x.recv)
}

func (f *sniffer) Cancel(s *Session) { s.Loop().Cancel(&s.Value.(*sniff).recv) }

func (x *sniff) Complete(op *proactor.Op) {
	x.line = append(x.line, op.Buf...)
	switch {
	case op.More:
	case op.Err != nil:
		x.s.Refuse(op.Err)
	case strings.HasPrefix(string(x.line), x.f.refuse):
		x.s.Refuse(errRefusedLine)
	default:
		x.f.seen = append(x.f.seen, string(x.line))
		x.s.Admit(x.line)
	}
}

// What a filter has read reaches the upstream first, after a dialer's prefix.
func TestFilterReadsAhead(t *testing.T) {
	f := &sniffer{refuse: "EVIL"}
	w := quietWorld(t, 2, 1, Options{Accept: f, Dial: &prefixer{}, AcceptTimeout: time.Hour})
	for range 2 {
		client := w.connect()
		n := len(w.hands)
		client.say("GET / and more")
		w.until("accepted upstream", time.Minute, func() bool { return len(w.hands) > n })
		server := w.hands[n]
		server.hears("PROXY 127.0.0.1\r\nGET / and more")
		server.say("reply")
		client.hears("reply")
		client.drop(true)
		server.hearsReset()
		server.drop(false)
	}
	evil := w.connect()
	evil.say("EVIL request")
	evil.hearsReset()
	if r := w.report(3, Refused, Client); r.Err != errRefusedLine || r.Upstream.IsValid() || r.Attempts != 0 {
		t.Errorf("the report says %+v", r)
	}
	evil.drop(false)
	if len(f.seen) != 2 || f.seen[0] != "GET " {
		t.Errorf("the filter saw %q", f.seen)
	}
	w.close()
}

// A prefixer is a Dialer that sends a header first.
type prefixer struct{ Direct }

func (d *prefixer) Dial(s *Session) {
	s.Prefix([]byte("PROXY " + s.Peer().IP().String() + "\r\n"))
	d.Direct.Dial(s)
}

// The prefix of an attempt that failed is not sent to the next upstream.
func TestPrefixIsOfOneAttempt(t *testing.T) {
	w := quietWorld(t, 1, 2, Options{Dial: &numberer{}})
	w.servers[0].Stop()
	w.pass(time.Second)
	client, server := w.pair()
	client.say("hello")
	server.hears("hello")
	client.drop(true)
	server.hearsReset()
	server.drop(false)
	w.close()
}

type numberer struct{ Direct }

func (d *numberer) Dial(s *Session) {
	if s.Attempts() == 0 {
		s.Prefix([]byte("first"))
	}
	d.Direct.Dial(s)
}

// A client that says nothing to a filter that wants to read is cut.
func TestSlowClient(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{Accept: &sniffer{}})
	client := w.connect()
	client.hearsReset()
	if r := w.report(1, Slow, Client); r.Duration < DefaultAcceptTimeout || r.Duration > DefaultAcceptTimeout+10*time.Second {
		t.Errorf("the session lasted %v, want %v", r.Duration, DefaultAcceptTimeout)
	}
	client.drop(false)
	w.close()
}

// A filter that has decided, but too late, changes nothing.
func TestFilterIsTooLate(t *testing.T) {
	f := &stubborn{}
	w := quietWorld(t, 1, 1, Options{Accept: f})
	client := w.connect()
	w.until("asked", time.Minute, func() bool { return f.canceled })
	w.pass(time.Hour)
	if len(w.reports) != 0 {
		t.Error("a session ended before its filter had")
	}
	f.s.Admit([]byte("yes"))
	client.hearsReset()
	w.report(1, Slow, Client)
	client.drop(false)
	w.close()
}

type stubborn struct {
	s        *Session
	canceled bool
}

func (f *stubborn) Accept(s *Session) { f.s = s }
func (f *stubborn) Cancel(*Session)   { f.canceled = true }

func TestFilterFunc(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{Accept: FilterFunc(func(s *Session) error {
		if s.Peer().IP().IsLoopback() && s.Listener() != nowhere {
			return errRefusedLine
		}
		return nil
	})})
	client := w.connect()
	client.hearsReset()
	if r := w.report(1, Refused, Client); r.Err != errRefusedLine {
		t.Errorf("the report's error is %v", r.Err)
	}
	client.drop(false)
	w.close()
}

var nowhere proactor.Address

// What panics in a stage costs its session, which is reset and reported.
func TestStagesPanic(t *testing.T) {
	for name, o := range map[string]Options{
		"filter": {Accept: panicking{}}, "router": {Route: panicking{}}, "dialer": {Dial: panicking{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := quietWorld(t, 2, 1, o)
			for i := range 3 {
				client := w.connect()
				client.hearsReset()
				if r := w.report(i+1, Panicked, Nobody); r.Err == nil || r.Err.Error() != "panic: oh" {
					t.Errorf("the report's error is %v", r.Err)
				}
				client.drop(false)
			}
			w.close()
		})
	}
}

// A panic in the Reporter costs nobody anything.
func TestReporterPanics(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{Sample: time.Second, Report: ReporterFunc(func(*Report) { panic("oh") })})
	for i := range 3 {
		client, server := w.pair()
		client.finish()
		server.finish()
		client.hearsEnd()
		w.report(i+1, Done, Nobody)
		client.drop(false)
		server.drop(false)
	}
	if n := w.p.Live(); n != 0 {
		t.Errorf("%d sessions live", n)
	}
	w.close()
}

type panicking struct{}

func (panicking) Accept(*Session)          { panic("oh") }
func (panicking) Route(*Session) *Upstream { panic("oh") }
func (panicking) Dial(*Session)            { panic("oh") }
func (panicking) Cancel(*Session)          {}

// A connection that the loop whose turn it is cannot take is served where it
// was accepted.
func TestHandOverToAFullLoop(t *testing.T) {
	w := quietWorld(t, 2, 1, Options{})
	for w.loops[1].Call(func() {}) == nil {
		continue
	}
	all := w.loops
	w.loops = all[:1] // the full one does not turn
	var ends []*hand
	for range 4 {
		client, server := w.pair()
		ends = append(ends, client, server)
	}
	if n := w.p.workers[0].accepted.Load(); n != 4 {
		t.Errorf("the loop that accepts serves %d of 4", n)
	}
	w.loops = all
	client, server := w.pair()
	client.say("hello")
	server.hears("hello")
	for _, x := range append(ends, client, server) {
		x.drop(true)
	}
	w.close()
}
