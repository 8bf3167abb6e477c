package twisted

import (
	"errors"
	"fmt"

	"mobius/connector"
	"mobius/proactor"
	"mobius/transport"
)

// A talker is a protocol that notes in its scene what happens to it, and then
// does what the case wants.
type talker struct {
	s    *scene
	name string
	t    transport.Transport
	got  []byte
	err  error // of ConnectionLost
	lost int   // how often that was called

	quiet bool // notes nothing

	onMade, onData, onLost func(p *talker)
}

func (p *talker) note(format string, args ...any) {
	if !p.quiet {
		p.s.note(p.name+" "+format, args...)
	}
}

func (p *talker) ConnectionMade(t transport.Transport) {
	p.t = t
	p.note("made")
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
	p.lost++
	p.note("lost: %s", kindOf(err))
	if p.onLost != nil {
		p.onLost(p)
	}
}

// has turns the loop until the talker has received so many bytes.
func (p *talker) has(n int) {
	p.s.Helper()
	p.s.Until(fmt.Sprintf("%s has %d bytes", p.name, n), func() bool { return len(p.got) >= n })
}

// write writes, and fails the test if the transport does not take it.
func (p *talker) write(text string) {
	p.s.Helper()
	if n, err := p.t.Write([]byte(text)); n != len(text) || err != nil {
		p.s.Fatalf("%s: Write took %d of %d bytes, %v", p.name, n, len(text), err)
	}
}

// A halfTalker is a talker that goes on after one direction has ended.
type halfTalker struct {
	*talker
	onReadLost, onWriteLost func(p *talker)
}

func (h *halfTalker) ReadConnectionLost() {
	h.note("read lost")
	if h.onReadLost != nil {
		h.onReadLost(h.talker)
	}
}

func (h *halfTalker) WriteConnectionLost() {
	h.note("write lost")
	if h.onWriteLost != nil {
		h.onWriteLost(h.talker)
	}
}

// A pacedTalker is a talker that is told when to write.
type pacedTalker struct {
	*talker
	onPause, onResume func(p *talker)
}

func (h *pacedTalker) PauseWriting() {
	h.note("pause")
	if h.onPause != nil {
		h.onPause(h.talker)
	}
}

func (h *pacedTalker) ResumeWriting() {
	h.note("resume")
	if h.onResume != nil {
		h.onResume(h.talker)
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

// A plant is a factory, of clients and of servers, that notes in its scene what
// happens to it.
type plant struct {
	connector.Started
	s     *scene
	name  string
	quiet bool // notes nothing, nor do its talkers

	talker talker // what each protocol is a copy of
	made   []*talker
	peers  []proactor.Address
	errs   []error // of ConnectionFailed and ConnectionLost
	c      *connector.Connector

	wrap    func(p *talker) transport.Protocol // what is given to the connection instead
	onBuild func()                             // before a talker is made

	onStarted, onFailed, onLost func(c *connector.Connector)
}

// plant returns a factory whose events begin with name.
func (s *scene) plant(name string) *plant {
	f := &plant{s: s, name: name}
	f.talker = talker{s: s, name: name}
	f.OnStart = func() { f.note("start") }
	f.OnStop = func() { f.note("stop") }
	return f
}

// silent is plant without the notes: most cases look at one side only.
func (s *scene) silent(name string) *plant {
	f := s.plant(name)
	f.quiet, f.talker.quiet = true, true
	return f
}

func (f *plant) note(format string, args ...any) {
	if !f.quiet {
		f.s.note(f.name+" "+format, args...)
	}
}

func (f *plant) BuildProtocol(peer proactor.Address) transport.Protocol {
	f.note("build")
	f.peers = append(f.peers, peer)
	if f.onBuild != nil {
		f.onBuild()
	}
	p := f.talker
	f.made = append(f.made, &p)
	if f.wrap != nil {
		return f.wrap(&p)
	}
	return &p
}

func (f *plant) StartedConnecting(c *connector.Connector) {
	f.note("connecting")
	f.c = c
	if f.onStarted != nil {
		f.onStarted(c)
	}
}

func (f *plant) ConnectionFailed(c *connector.Connector, err error) {
	f.note("failed: %s", kindOf(err))
	f.errs = append(f.errs, err)
	if f.onFailed != nil {
		f.onFailed(c)
	}
}

func (f *plant) ConnectionLost(c *connector.Connector, err error) {
	f.note("connector lost: %s", kindOf(err))
	f.errs = append(f.errs, err)
	if f.onLost != nil {
		f.onLost(c)
	}
}
