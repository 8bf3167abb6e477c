package connector

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"mobius/loop"
	"mobius/proactor"
	"mobius/test/backends"
	"mobius/transport"
)

// A scene is a world with a record of what happened in it, in order.
type scene struct {
	*backends.World
	l      *loop.Loop
	events []string
}

func newScene(w *backends.World) *scene {
	return &scene{World: w, l: w.Loop()}
}

func (s *scene) note(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

// expect compares what happened, and forgets it.
func (s *scene) expect(want ...string) {
	s.Helper()
	if !reflect.DeepEqual(s.events, want) {
		s.Fatalf("events\n  %s\nwant\n  %s", strings.Join(s.events, "\n  "), strings.Join(want, "\n  "))
	}
	s.events = nil
}

func (s *scene) has(event string) bool {
	for _, e := range s.events {
		if e == event {
			return true
		}
	}
	return false
}

// A talker is a protocol that notes what happens to it.
type talker struct {
	s      *scene
	name   string
	t      transport.Transport
	got    []byte
	err    error
	onMade func(*talker)
	onData func(*talker)
	onLost func(*talker)
}

func (p *talker) ConnectionMade(t transport.Transport) {
	p.t = t
	p.s.note("%s made", p.name)
	if p.onMade != nil {
		p.onMade(p)
	}
}

func (p *talker) DataReceived(b []byte) {
	p.got = append(p.got, b...)
	if p.onData != nil {
		p.onData(p)
	}
}

func (p *talker) ConnectionLost(err error) {
	p.err = err
	p.s.note("%s lost: %v", p.name, kindOf(err))
	if p.onLost != nil {
		p.onLost(p)
	}
}

// kindOf returns the kind of a connection's end, in words.
func kindOf(err error) string {
	var e *transport.ConnError
	if !errors.As(err, &e) {
		return fmt.Sprintf("no ConnError: %v", err)
	}
	return e.Kind.String()
}

// A plant is a factory, of clients and of servers, that notes what happens to
// it.
type plant struct {
	Started
	s       *scene
	name    string
	peers   []proactor.Address
	errs    []error // of ConnectionFailed and ConnectionLost
	made    []*talker
	c       *Connector
	talker  talker // what each protocol is a copy of
	onBuild func() transport.Protocol

	onStarted, onFailed, onLost func(*Connector)
}

func (s *scene) plant(name string) *plant {
	f := &plant{s: s, name: name}
	f.talker = talker{s: s, name: name}
	f.OnStart = func() { s.note("%s start", name) }
	f.OnStop = func() { s.note("%s stop", name) }
	return f
}

func (f *plant) BuildProtocol(peer proactor.Address) transport.Protocol {
	f.s.note("%s build", f.name)
	f.peers = append(f.peers, peer)
	if f.onBuild != nil {
		return f.onBuild()
	}
	p := f.talker
	f.made = append(f.made, &p)
	return &p
}

func (f *plant) StartedConnecting(c *Connector) {
	f.s.note("%s connecting", f.name)
	f.c = c
	if f.onStarted != nil {
		f.onStarted(c)
	}
}

func (f *plant) ConnectionFailed(c *Connector, err error) {
	f.s.note("%s failed: %s", f.name, kindOf(err))
	f.errs = append(f.errs, err)
	if f.onFailed != nil {
		f.onFailed(c)
	}
}

func (f *plant) ConnectionLost(c *Connector, err error) {
	f.s.note("%s connector lost: %s", f.name, kindOf(err))
	f.errs = append(f.errs, err)
	if f.onLost != nil {
		f.onLost(c)
	}
}

// quiet is a plant's server side that notes nothing: most tests look at one
// side only.
func (s *scene) quiet() *plant {
	return (&scene{World: s.World, l: s.l}).plant("server")
}

// listen makes a port of the scene's loop.
func (s *scene) listen(f Factory) *Port {
	s.Helper()
	p, err := Listen([]*loop.Loop{s.l}, s.Address(), f, ListenOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// deadEnd returns an address at which nobody listens.
func (s *scene) deadEnd() proactor.Address {
	s.Helper()
	p := s.listen(s.quiet())
	stopped := p.StopListening()
	s.wait(stopped)
	return p.Addr()
}

// wait turns the world until a future is completed.
func (s *scene) wait(f *loop.Future[struct{}]) {
	s.Helper()
	s.Until("the future is completed", func() bool { return done(f) })
}

func done(f *loop.Future[struct{}]) bool {
	select {
	case <-f.Done():
		return true
	default:
		return false
	}
}

// panics checks that so many panics were reported, and nothing else.
func (s *scene) panics(n int) {
	s.Helper()
	all := s.TakeTroubles()
	for _, t := range all {
		if t.Kind != loop.Panicked || len(t.Stack) == 0 {
			s.Errorf("reported %v", t)
		}
	}
	if len(all) != n {
		s.Fatalf("%d troubles, want %d panics: %v", len(all), n, all)
	}
}

// each runs a test on every backend.
func each(t *testing.T, f func(s *scene)) {
	backends.Each(t, func(w *backends.World) { f(newScene(w)) })
}
