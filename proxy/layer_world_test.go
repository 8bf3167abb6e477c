package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"mobius/connector"
	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
	mtls "mobius/transport/tls"
)

// Ways are which sides of a proxy speak TLS, where one does.
type ways struct{ client, server bool }

func (y ways) String() string {
	return map[ways]string{{true, false}: "terminate", {false, true}: "originate", {true, true}: "both"}[y]
}

// A layered is a proxy of which one side at least speaks TLS, with its clients
// and upstreams, each a talker.
type layered struct {
	*backends.World
	ways           ways
	near, mid, far *loop.Loop
	p              *Proxy
	ca             *testenv.CA
	server, client *tls.Config // of whoever is the TLS server, the TLS client
	port           *connector.Port
	accepted       []*talker // upstreams' ends
	reports        []Report
	marks          transport.Options // of talkers
	upstream       *Upstream
	handshake      mtls.Options
}

const tlsHost = "server.test"

// eachLayered runs f on every backend and in all ways.
func eachLayered(t *testing.T, o Options, f func(s *layered)) {
	for _, y := range []ways{{true, false}, {false, true}, {true, true}} {
		t.Run(y.String(), func(t *testing.T) {
			backends.Each(t, func(w *backends.World) {
				s := newLayered(w, y)
				s.start(o)
				f(s)
				s.drained()
			})
		})
	}
}

func newLayered(w *backends.World, y ways) *layered {
	s := &layered{World: w, ways: y, near: w.Loop(), mid: w.Loop(), far: w.Loop(), ca: testenv.NewCA(w)}
	s.server = &tls.Config{Certificates: []tls.Certificate{s.ca.Issue(tlsHost, "127.0.0.1")}}
	s.client = &tls.Config{RootCAs: s.ca.Pool(), ServerName: tlsHost}
	return s
}

// start starts the upstream and the proxy.
func (s *layered) start(o Options) {
	s.Helper()
	f := connector.FactoryFunc(func(proactor.Address) transport.Protocol {
		t := &talker{s: s}
		s.accepted = append(s.accepted, t)
		if !s.ways.server {
			return t
		}
		return mtls.Wrap(t, s.server, mtls.Server, nil)
	})
	var err error
	s.port, err = connector.Listen([]*loop.Loop{s.far}, s.Address(), f, connector.ListenOptions{Transport: &s.marks})
	if err != nil {
		s.Fatal(err)
	}
	var inner, outer Layer
	if s.ways.client {
		outer = s.layer(TLSServer(s.server, &s.handshake))
	}
	if s.ways.server {
		inner = s.layer(TLSClient(s.client, &s.handshake))
	}
	s.upstream = NewUpstreamOver(s.port.Addr(), inner)
	if o.Route == nil {
		o.Route, err = RoundRobinOf(s.upstream)
	}
	if err == nil {
		o.Report = ReporterFunc(func(r *Report) { s.reports = append(s.reports, *r) })
		s.p, err = New([]*loop.Loop{s.mid}, o)
	}
	if err == nil {
		err = s.p.ListenOver(s.Address(), outer)
	}
	if err != nil {
		s.Fatal(err)
	}
}

// metronome wakes every loop each second, so that none sleeps beyond what is due
// on another, until stop is called.
func (s *layered) metronome() (stop func()) { return metronome(s.near, s.mid, s.far) }

func metronome(loops ...*loop.Loop) (stop func()) {
	var timers []*loop.Timer
	for _, l := range loops {
		t := &loop.Timer{}
		t.Func = func() { l.Start(t, time.Second) }
		l.Start(t, time.Second)
		timers = append(timers, t)
	}
	return func() {
		for _, t := range timers {
			t.Stop()
		}
	}
}

func (s *layered) layer(y Layer, err error) Layer {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
	return y
}

// drained stops everything and checks that nothing is left.
func (s *layered) drained() {
	s.Helper()
	s.p.Drain()
	s.port.StopListening()
	s.Until("nothing is left", func() bool {
		return s.p.Live() == 0 && s.near.Members()+s.far.Members() == 0 && s.mid.Members() <= 1
	})
	if st := s.mid.Backend().Stats(); st.Handles != 0 || st.Ops > 1 || st.Holds != 0 { // one op waits for wake-ups
		s.Errorf("the proxy's loop has %d handles, %d ops, %d holds left", st.Handles, st.Ops, st.Holds)
	}
}

// dial connects a client through the proxy.
func (s *layered) dial() *talker {
	t := &talker{s: s}
	var p transport.Protocol = t
	if s.ways.client {
		p = mtls.Wrap(t, s.client, mtls.Client, nil)
	}
	connector.Connect(s.near, connector.To(s.p.Addrs()[0]), &connector.Client{Factory: one{p}}, connector.Options{Transport: &s.marks})
	return t
}

// pair connects a client and waits for the upstream's end of it.
func (s *layered) pair() (client, server *talker) {
	s.Helper()
	n := len(s.accepted)
	client = s.dial()
	s.Until("accepted upstream", func() bool { return len(s.accepted) > n && s.accepted[n].t != nil && client.t != nil })
	return client, s.accepted[n]
}

// report waits for the n-th report, counted from 1, and checks its reason and side.
func (s *layered) report(n int, reason Reason, side Side) Report {
	s.Helper()
	s.Until("reported", func() bool { return len(s.reports) >= n })
	r := s.reports[n-1]
	if r.Reason != reason || r.Side != side {
		s.Errorf("report %d says %v by %v (%v), want %v by %v", n, r.Reason, r.Side, r.Err, reason, side)
	}
	return r
}

// One is a factory of one protocol.
type one struct{ p transport.Protocol }

func (o one) BuildProtocol(proactor.Address) transport.Protocol { return o.p }

// A talker is a client or an upstream.
type talker struct {
	s      *layered
	t      transport.Transport
	got    bytes.Buffer
	ended  bool // the peer's stream
	polite bool // ends its own then
	paused int
	lost   error
	on     func(t *talker) // after each piece
}

func (t *talker) ConnectionMade(tr transport.Transport) { t.t = tr }

func (t *talker) DataReceived(p []byte) {
	t.got.Write(p)
	if t.on != nil {
		t.on(t)
	}
}

func (t *talker) ReadConnectionLost() {
	if t.ended = true; t.polite {
		t.t.LoseConnection()
	}
}

func (t *talker) WriteConnectionLost()     {}
func (t *talker) PauseWriting()            { t.paused++ }
func (t *talker) ResumeWriting()           {}
func (t *talker) ConnectionLost(err error) { t.lost = err }

// until waits until t is connected, and then does something.
func (t *talker) until(then func(t *talker)) {
	t.s.Helper()
	t.s.Until("connected", func() bool { return t.t != nil })
	then(t)
}

// say writes text.
func (t *talker) say(text string) {
	t.s.Helper()
	if _, err := t.t.Write([]byte(text)); err != nil {
		t.s.Fatal(err)
	}
}

// hears waits until all that was received is text.
func (t *talker) hears(text string) {
	t.s.Helper()
	t.s.Until("heard", func() bool { return t.got.Len() >= len(text) || t.lost != nil })
	if t.got.String() != text {
		t.s.Fatalf("heard %d bytes (%.40q), want %d; lost: %v", t.got.Len(), t.got.String(), len(text), t.lost)
	}
}

// endsWell waits for the connection's end by the ends of both streams.
func (t *talker) endsWell() {
	t.s.Helper()
	t.s.Until("the connection's end", func() bool { return t.lost != nil })
	if k := kindOf(t.lost); k != transport.Done {
		t.s.Errorf("lost with %v, want done", t.lost)
	}
}

// endsBadly waits for an end that nobody takes for one of the stream.
func (t *talker) endsBadly() {
	t.s.Helper()
	t.s.Until("the connection's end", func() bool { return t.lost != nil })
	if k := kindOf(t.lost); k == transport.Done || t.ended {
		t.s.Errorf("lost with %v, end of stream %v: want a reset", t.lost, t.ended)
	}
}

func kindOf(err error) transport.Kind {
	var e *transport.ConnError
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// quiet is a simulated network without faults.
var quiet = sim.Options{Seed: 1, Faults: sim.NoFaults}
