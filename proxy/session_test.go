package proxy

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"mobius/proactor"
)

// A Session's size is what an idle connection costs beside the kernel's part,
// so that a change of it is noticed.
func TestSessionSize(t *testing.T) {
	if got, limit := unsafe.Sizeof(Session{}), uintptr(1024); got > limit {
		t.Errorf("a Session has %d bytes, want at most %d", got, limit)
	} else {
		t.Logf("a Session has %d bytes", got)
	}
}

func TestSession(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{})
	client, server := w.pair()
	client.say("hello")
	server.hears("hello")
	server.say("and hello to you")
	client.hears("and hello to you")
	client.finish()
	server.hearsEnd()
	server.say(", late")
	client.hears("and hello to you, late")
	server.finish()
	client.hearsEnd()
	r := w.report(1, Done, Nobody)
	if s := w.p.Status(); s.Sent != 5 || s.Received != 22 || s.Upstreams[0].Sent != 5 || s.Upstreams[0].Received != 22 {
		t.Errorf("without samples the status says of a session that has ended %+v", s)
	}
	if r.Sent != 5 || r.Received != 22 || r.Attempts != 1 || r.Err != nil ||
		r.Upstream != w.servers[0].Addr() || r.Listener != w.addr {
		t.Errorf("the report says %+v", r)
	}
	client.drop(false)
	server.drop(false)
	w.close()
}

func TestUpstreamReset(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{})
	client, server := w.pair()
	server.say("half of")
	client.hears("half of")
	server.drop(true)
	client.hearsReset()
	if r := w.report(1, Broken, Server); !errors.Is(r.Err, syscall.ECONNRESET) {
		t.Errorf("the report's error is %v", r.Err)
	}
	client.drop(false)
	w.close()
}

// What an upstream had sent before it reset still reaches a client that is
// slow to read, though sending to the upstream has failed already.
func TestReplyBeforeAReset(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{})
	client, server := w.pair()
	client.l.Cancel(&client.recv)
	w.pass(time.Second)
	client.end = nil
	reply := strings.Repeat("reply ", 25_000) // more than the client's socket and the relay hold
	server.say(reply)
	w.pass(time.Second)
	server.drop(true)
	w.pass(time.Second)
	client.say("more of the request")
	w.pass(time.Second)
	client.l.Submit(&client.recv)
	client.hears(reply)
	client.hearsReset()
	w.report(1, Broken, Server)
	client.drop(false)
	w.close()
}

func TestClientReset(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{})
	client, server := w.pair()
	client.drop(true)
	server.hearsReset()
	w.report(1, Broken, Client)
	server.drop(false)
	w.close()
}

// A client that closes without reading the rest is gone for good: the
// upstream, which goes on sending, is told by a reset.
func TestClientGone(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{})
	client, server := w.pair()
	client.drop(false)
	server.hearsEnd()
	server.say("who")
	w.pass(time.Second)
	server.say("listens?")
	w.report(1, Broken, Client)
	w.pass(time.Second)
	server.say("nobody")
	if server.failed == nil {
		t.Error("sending to a client that is gone did not fail")
	}
	server.drop(false)
	w.close()
}

// Bytes now and then keep a session alive; then it ends when it has been idle
// for the time, and not a second before.
func TestIdleTimeout(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{})
	client, server := w.pair()
	for range 3 {
		w.pass(50 * time.Minute)
		client.say("y")
		w.pass(50 * time.Minute)
		server.say("x")
	}
	last := w.net.Now()
	client.hears("xxx")
	w.report(1, Idle, Nobody)
	if d := w.net.Now() - last; d < time.Hour || d > time.Hour+5*time.Second {
		t.Errorf("the session ended %v after its last byte, want an hour", d)
	}
	client.hearsReset()
	server.hearsReset()
	client.drop(false)
	server.drop(false)
	w.close()
}

// A reply that begins late and trickles is not cut while it goes on.
func TestHalfClosedTimeout(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{})
	client, server := w.pair()
	client.say("request")
	w.pass(10 * time.Minute)
	client.finish()
	server.hearsEnd()
	for range 20 {
		w.pass(25 * time.Second)
		server.say("x")
	}
	last := w.net.Now()
	client.hears(strings.Repeat("x", 20))
	w.report(1, HalfClosed, Server)
	if d := w.net.Now() - last; d < 30*time.Second || d > 35*time.Second {
		t.Errorf("the session ended %v after its last byte, want 30 s", d)
	}
	client.hearsReset()
	client.drop(false)
	server.drop(false)
	w.close()
}

func TestTimeoutsCanBeOff(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{IdleTimeout: -1, HalfClosedTimeout: -1})
	w.step = time.Minute
	client, server := w.pair()
	w.pass(48 * time.Hour)
	client.say("request")
	client.finish()
	server.hearsEnd()
	w.pass(48 * time.Hour)
	server.say("reply")
	server.finish()
	client.hears("reply")
	w.report(1, Done, Nobody)
	client.drop(false)
	server.drop(false)
	w.close()
}

// An upstream that does not answer costs the connect timeout, and then the
// next one is tried.
func TestConnectTimeout(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{Route: &list{}})
	silent, err := proactor.ParseAddress("tcp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	w.p.o.Route.(*list).upstreams = []*Upstream{NewUpstream(silent), NewUpstream(w.servers[0].Addr())}
	w.p.o.Dial = &deaf{Direct: Direct{}, to: silent}
	start := w.net.Now()
	client, server := w.pair()
	if d := w.net.Now() - start; d < DefaultConnectTimeout || d > DefaultConnectTimeout+5*time.Second {
		t.Errorf("the second attempt came after %v", d)
	}
	client.say("hello")
	server.hears("hello")
	client.drop(true)
	if r := w.report(1, Broken, Client); r.Attempts != 2 {
		t.Errorf("%d attempts, want 2", r.Attempts)
	}
	server.drop(false)
	if u := w.p.o.Route.(*list).upstreams[0]; *u.lastErr.Load() != os.ErrDeadlineExceeded.Error() {
		t.Errorf("the silent upstream's error is %q", *u.lastErr.Load())
	}
	w.close()
}

// A list is a Router that takes its upstreams in order.
type list struct{ upstreams []*Upstream }

func (r *list) Route(s *Session) *Upstream {
	if s.Attempts() < len(r.upstreams) {
		return r.upstreams[s.Attempts()]
	}
	return nil
}

// A deaf Dialer gets no answer from one address.
type deaf struct {
	Direct
	to proactor.Address
}

func (d *deaf) Dial(s *Session) {
	if s.Upstream().Addr() != d.to {
		d.Direct.Dial(s)
	}
}

func (d *deaf) Cancel(s *Session) {
	if s.Upstream().Addr() == d.to {
		s.DialFailed(proactor.ErrCanceled)
		return
	}
	d.Direct.Cancel(s)
}

func TestNoUpstreamIsAReset(t *testing.T) {
	w := quietWorld(t, 1, 2, Options{})
	for _, s := range w.servers {
		s.Stop()
	}
	w.pass(time.Second)
	client := w.connect()
	client.hearsReset()
	r := w.report(1, NoUpstream, Server)
	if r.Attempts != 2 || !errors.Is(r.Err, syscall.ECONNREFUSED) {
		t.Errorf("the report says %d attempts, %v; want 2, refused", r.Attempts, r.Err)
	}
	client.drop(false)
	w.close()
}

// An upstream that failed rests for longer and longer, is tried by one session
// at a time, and is back with the first success.
func TestMarks(t *testing.T) {
	w := quietWorld(t, 1, 2, Options{})
	w.step = time.Millisecond
	down := w.servers[0].Addr()
	w.servers[0].Stop()
	failed := func() uint64 { return w.router.Upstreams()[0].failed.Load() }
	served := func(n int) {
		for range n {
			client, server := w.pair()
			client.drop(false)
			server.drop(false)
		}
	}
	served(10)
	if failed() != 1 {
		t.Errorf("in the first moment %d attempts, want 1", failed())
	}
	for i, rest := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		w.pass(rest*time.Second - 100*time.Millisecond)
		served(4)
		if got := failed(); got != uint64(i+1) {
			t.Fatalf("before rest %d of %d s is over there were %d attempts", i, rest, got)
		}
		w.pass(200 * time.Millisecond)
		served(4)
		if got := failed(); got != uint64(i+2) {
			t.Fatalf("after rest %d of %d s there were %d attempts", i, rest, got)
		}
	}
	if s := w.p.Status().Upstreams[0]; s.Up || s.Retry <= 0 || s.Error != "connection refused" {
		t.Errorf("the status of the upstream that is down is %+v", s)
	}
	w.servers = append(w.servers, w.serve(down))
	w.pass(31 * time.Second)
	served(8)
	if u := w.router.Upstreams()[0]; u.total.Load() != 4 || !w.p.Status().Upstreams[0].Up {
		t.Errorf("once back the upstream got %d of 8 sessions, want 4", u.total.Load())
	}
	w.close()
}

func TestRoundRobin(t *testing.T) {
	w := quietWorld(t, 3, 3, Options{})
	for range 18 {
		client, server := w.pair()
		client.drop(true)
		server.drop(false)
	}
	w.report(18, Broken, Client)
	for _, u := range w.p.Status().Upstreams {
		if u.Total != 6 || u.Live != 0 {
			t.Errorf("an upstream of three has %d of 18 sessions, %d live", u.Total, u.Live)
		}
	}
	for i, v := range w.p.workers {
		if n := v.accepted.Load(); n != 6 {
			t.Errorf("loop %d of three has had %d of 18 sessions", i, n)
		}
	}
	if _, err := NewRoundRobin(); err == nil {
		t.Error("a RoundRobin without upstreams: no error")
	}
	if _, err := NewRoundRobin(make([]proactor.Address, MaxUpstreams+1)...); err == nil {
		t.Error("a RoundRobin with too many upstreams: no error")
	}
	w.close()
}

func TestMaxSessions(t *testing.T) {
	w := quietWorld(t, 2, 1, Options{MaxSessions: 2})
	a, sa := w.pair()
	b, sb := w.pair()
	c := w.connect()
	c.hearsReset()
	if r := w.report(1, Refused, Client); r.Err != proactor.ErrLimit {
		t.Errorf("the report's error is %v", r.Err)
	}
	a.drop(true)
	w.report(2, Broken, Client)
	d, sd := w.pair()
	for _, x := range []*hand{b, c, d, sa, sb, sd} {
		x.drop(true)
	}
	w.close()
}

func TestCutEndsAll(t *testing.T) {
	w := quietWorld(t, 2, 1, Options{})
	a, sa := w.pair()
	b, sb := w.pair()
	w.p.Drain()
	w.pass(time.Second)
	if w.p.Live() != 2 {
		t.Errorf("%d sessions live after Drain, want 2", w.p.Live())
	}
	a.say("still here")
	sa.hears("still here")
	w.p.Cut()
	for _, x := range []*hand{a, sa, b, sb} {
		x.hearsReset()
		x.drop(false)
	}
	w.report(1, Drained, Nobody)
	w.report(2, Drained, Nobody)
	w.close()
}

// What a loop's stop finds is cut, reported, and leaves nothing behind.
func TestLoopStops(t *testing.T) {
	w := quietWorld(t, 2, 1, Options{Sample: time.Second})
	a, sa := w.pair()
	b, sb := w.pair()
	for _, l := range w.loops {
		l.Stop()
	}
	for _, l := range w.loops {
		for l.Iterate(0) == nil {
			continue
		}
	}
	loops := w.loops
	w.loops = nil
	w.report(1, Stopped, Nobody)
	w.report(2, Stopped, Nobody)
	for _, x := range []*hand{a, sa, b, sb} {
		x.hearsReset()
		x.drop(false)
	}
	w.loops = loops
	if w.p.Live() != 0 {
		t.Errorf("%d sessions live", w.p.Live())
	}
	for _, l := range loops {
		if s := l.Backend().Stats(); s.Handles != 0 || s.Ops != 0 {
			t.Errorf("%d handles, %d ops left", s.Handles, s.Ops)
		}
	}
}

// A connection that comes from another loop when this one ends in good order,
// and has told its members so, is still waited for.
func TestSessionAfterFinish(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{})
	v := w.p.workers[0]
	before := v.l.Members()
	v.Finish()
	if n := v.l.Members(); n != before-1 {
		t.Errorf("%d members after Finish without sessions, were %d", n, before)
	}
	client, server := w.pair()
	if n := v.l.Members(); n != before {
		t.Errorf("%d members with a session, want %d", n, before)
	}
	client.drop(true)
	w.report(1, Broken, Client)
	if n := v.l.Members(); n != before-1 {
		t.Errorf("%d members after its end, want %d", n, before-1)
	}
	server.drop(false)
	w.servers[0].Stop()
	v.p.listeners[0].stop()
	v.p.draining.Store(true)
	w.close()
}

func TestStatusAddsUp(t *testing.T) {
	w := quietWorld(t, 2, 2, Options{Sample: time.Second})
	client, server := w.pair()
	client.say("hello")
	server.hears("hello")
	server.say("hi")
	client.hears("hi")
	w.pass(3 * time.Second)
	s := w.p.Status()
	if s.Live != 1 || s.Accepted != 1 || s.Sent != 5 || s.Received != 2 ||
		len(s.Samples) < 3 || len(s.Loops) != 2 || len(s.Listeners) != 1 {
		t.Errorf("the status of a live session: %+v", s)
	}
	if s.Upstreams[0].Sent+s.Upstreams[1].Sent != 5 || s.Upstreams[0].Live+s.Upstreams[1].Live != 1 {
		t.Errorf("the upstreams' status: %+v", s.Upstreams)
	}
	client.finish()
	server.finish()
	w.report(1, Done, Nobody)
	s = w.p.Status()
	if s.Live != 0 || s.Ends["done"] != 1 || s.Sent != 5 || s.Received != 2 || len(s.Reports) != 1 || s.Reports[0].Reason != "done" {
		t.Errorf("the status after its end: %+v", s)
	}
	w.pass(5 * time.Minute)
	if s := w.p.Status(); len(s.Samples) != keptSamples || s.Rates.Sent != 0 {
		t.Errorf("%d samples, rate %v, want %d and 0", len(s.Samples), s.Rates, keptSamples)
	}
	client.drop(false)
	server.drop(false)
	w.close()
}
