package tls

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"

	"mobius/connector"
	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

const host = "server.test"

// A scene is a loop on which TLS servers and clients talk to each other.
type scene struct {
	*backends.World
	l  *loop.Loop
	ca *testenv.CA

	server, client *tls.Config
	o              Options
	below          transport.Options
	recs           []*rec
	failed         int // attempts to connect
}

func newScene(w *backends.World) *scene {
	s := &scene{World: w, ca: testenv.NewCA(w)}
	s.l = w.Loop()
	s.server = &tls.Config{Certificates: []tls.Certificate{s.ca.Issue(host, "127.0.0.1")}}
	s.client = &tls.Config{RootCAs: s.ca.Pool(), ServerName: host}
	return s
}

// each runs a test on every backend.
func each(t *testing.T, f func(s *scene)) {
	backends.Each(t, func(w *backends.World) {
		s := newScene(w)
		f(s)
		s.ends()
	})
}

// seeds runs a test on simulated networks.
func seeds(t *testing.T, n int, o sim.Options, f func(s *scene, seed uint64)) {
	backends.Seeds(t, n, o, func(w *backends.World, seed uint64) {
		s := newScene(w)
		f(s, seed)
		s.ends()
	})
}

// ends checks that no protocol was told its end twice.
func (s *scene) ends() {
	s.Helper()
	for _, r := range s.recs {
		if r.losts > 1 {
			s.Errorf("%s was told %d ends", r.name, r.losts)
		}
	}
}

// A rec is a protocol that notes what happens to it. half and drain add
// abilities.
type rec struct {
	s      *scene
	name   string
	t      transport.Transport
	events []string
	got    bytes.Buffer
	err    error
	losts  int
	state  tls.ConnectionState

	onMade, onShaken, onData, onRead, onPause, onResume func(*rec)
}

func (s *scene) rec(name string) *rec {
	r := &rec{s: s, name: name}
	s.recs = append(s.recs, r)
	return r
}

func (r *rec) note(event string, f func(*rec)) {
	r.events = append(r.events, event)
	if f != nil {
		f(r)
	}
}

func (r *rec) ConnectionMade(t transport.Transport) {
	r.t = t
	r.note("made", r.onMade)
}

func (r *rec) HandshakeCompleted(state tls.ConnectionState) {
	r.state = state
	r.note("shaken", r.onShaken)
}

func (r *rec) DataReceived(p []byte) {
	if r.losts > 0 {
		r.s.Errorf("%s: data after the end", r.name)
	}
	if r.got.Len() == 0 {
		r.events = append(r.events, "data")
	}
	r.got.Write(p)
	if r.onData != nil {
		r.onData(r)
	}
}

func (r *rec) ConnectionLost(err error) {
	r.err = err
	r.losts++
	r.note("lost", nil)
}

func (r *rec) lost() bool { return r.losts > 0 }

func (r *rec) shaken() bool { return strings.Contains(r.story(), "shaken") }

func (r *rec) story() string { return strings.Join(r.events, " ") }

// kind returns how the rec's connection has ended.
func (r *rec) kind() transport.Kind {
	var e *transport.ConnError
	if !errors.As(r.err, &e) {
		r.s.Fatalf("%s: lost with %v, no *ConnError", r.name, r.err)
	}
	return e.Kind
}

// ended checks how the rec's connection has ended.
func (r *rec) ended(k transport.Kind, op string) {
	r.s.Helper()
	var e *transport.ConnError
	if !errors.As(r.err, &e) || e.Kind != k || e.Op != op {
		r.s.Fatalf("%s: lost with %v, want %q to be %v", r.name, r.err, op, k)
	}
}

// half is a rec that is a HalfCloser too.
type half struct{ *rec }

func (h half) ReadConnectionLost()  { h.note("read-lost", h.onRead) }
func (h half) WriteConnectionLost() { h.note("write-lost", nil) }

// drain is a rec that is a Drainer too.
type drain struct{ *rec }

func (d drain) PauseWriting()  { d.note("pause", d.onPause) }
func (d drain) ResumeWriting() { d.note("resume", d.onResume) }

// listen makes a port that gives each connection what build returns.
func (s *scene) listen(build func() transport.Protocol) *connector.Port {
	s.Helper()
	f := connector.FactoryFunc(func(proactor.Address) transport.Protocol { return build() })
	p, err := connector.Listen([]*loop.Loop{s.l}, s.Address(), f, connector.ListenOptions{Transport: &s.below})
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// listenTLS is listen for protocols over TLS.
func (s *scene) listenTLS(build func() transport.Protocol) *connector.Port {
	s.Helper()
	return s.listen(func() transport.Protocol { return Wrap(build(), s.server, Server, &s.o) })
}

// dial connects p, in clear.
func (s *scene) dial(to proactor.Address, p transport.Protocol) *connector.Connector {
	return connector.Connect(s.l, connector.To(to), &dialer{s: s, p: p}, connector.Options{Transport: &s.below})
}

// A dialer is a factory of one client.
type dialer struct {
	connector.ClientBase
	s *scene
	p transport.Protocol
}

func (d *dialer) BuildProtocol(proactor.Address) transport.Protocol { return d.p }

func (d *dialer) ConnectionFailed(*connector.Connector, error) { d.s.failed++ }

// dialTLS connects p over TLS.
func (s *scene) dialTLS(to proactor.Address, p transport.Protocol) *connector.Connector {
	return s.dial(to, Wrap(p, s.client, Client, &s.o))
}

// pair connects two protocols over TLS.
func (s *scene) pair(server, client transport.Protocol) {
	s.Helper()
	s.dialTLS(s.listenTLS(func() transport.Protocol { return server }).Addr(), client)
}

// recs returns a server's and a client's rec.
func (s *scene) both() (server, client *rec) { return s.rec("server"), s.rec("client") }

// until turns the world until cond holds, and tells the stories if it does not.
func (s *scene) until(what string, cond func() bool) {
	s.Helper()
	defer func() {
		if s.Failed() {
			s.Log(s.stories())
		}
	}()
	s.Until(what, cond)
}

// write writes, and fails the test if that fails.
func (r *rec) write(p string) {
	r.s.Helper()
	if n, err := r.t.Write([]byte(p)); n != len(p) || err != nil {
		r.s.Fatalf("%s: Write of %d bytes: %d, %v", r.name, len(p), n, err)
	}
}

// echo makes a rec send back what it gets.
func echo(r *rec) {
	r.onData = func(r *rec) {
		if _, err := r.t.Write(r.got.Bytes()); err != nil {
			r.s.Errorf("echo: %v", err)
		}
		r.got.Reset()
	}
}

// pattern returns n bytes that are not the same at any two near places.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i) ^ byte(i>>8)*31 ^ byte(i>>16)*17
	}
	return p
}

func (s *scene) stories() string {
	text := fmt.Sprintf("%+v", StatsOf(s.l))
	for _, r := range s.recs {
		text += fmt.Sprintf("\n%s: %s, %d bytes, %v", r.name, r.story(), r.got.Len(), r.err)
	}
	return text
}
