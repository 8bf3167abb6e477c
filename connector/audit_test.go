package connector

import (
	"errors"
	"math/rand/v2"
	"testing"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// An audit watches one client factory: that its callbacks come in the only
// order that they may come in, each exactly once.
type audit struct {
	testing.TB
	rnd *rand.Rand
	c   *Connector

	at       step
	users    int
	attempts int
	failed   int
	lost     int
	p        *audited // the latest protocol
}

// A step is where an attempt is, by what the factory has been told.
//
//	resting → trying → built → made → gone → resting
//	             └───────┴── failed ───────────┘
type step uint8

const (
	resting step = iota
	trying
	built
	made
	gone
)

func (a *audit) move(to step, from ...step) {
	a.Helper()
	for _, s := range from {
		if a.at == s {
			a.at = to
			return
		}
	}
	a.Errorf("step %d came after step %d", to, a.at)
}

// DoStart counts: the factory has one connector, so it has one user at most.
func (a *audit) DoStart() {
	if a.users++; a.users != 1 || a.at != resting {
		a.Errorf("started with %d users at step %d", a.users, a.at)
	}
}

func (a *audit) DoStop() {
	if a.users--; a.users != 0 || a.at != resting {
		a.Errorf("stopped with %d users at step %d", a.users, a.at)
	}
}

func (a *audit) StartedConnecting(c *Connector) {
	a.move(trying, resting)
	a.c = c
	a.attempts++
	a.act(40)
}

func (a *audit) BuildProtocol(peer proactor.Address) transport.Protocol {
	a.move(built, trying)
	if !peer.IsValid() {
		a.Error("built for an invalid address")
	}
	a.act(40)
	if a.rnd.IntN(30) == 0 {
		return nil
	}
	a.p = &audited{audit: a}
	return a.p
}

func (a *audit) ConnectionFailed(c *Connector, err error) {
	a.move(resting, trying, built)
	a.failed++
	a.judge(err)
	a.act(15)
}

func (a *audit) ConnectionLost(c *Connector, err error) {
	a.move(resting, gone)
	a.lost++
	if err != a.p.err {
		a.Errorf("the factory was told %v, the protocol %v", err, a.p.err)
	}
	a.act(15)
}

func (a *audit) judge(err error) {
	var e *transport.ConnError
	if !errors.As(err, &e) || e.Err == nil {
		a.Errorf("ended with %#v", err)
	}
}

// act does something at random, once in n times: any method is legal in any
// callback.
func (a *audit) act(n int) {
	if a.c == nil || a.rnd.IntN(n) > 0 {
		return
	}
	switch a.rnd.IntN(6) {
	case 0:
		a.c.Disconnect()
	case 1:
		_ = a.c.StopConnecting()
	case 2:
		_ = a.c.Connect()
	case 3:
		_ = a.c.ConnectAfter(1 << a.rnd.IntN(36))
	case 4:
		if t := a.c.Transport(); t != nil {
			t.AbortConnection()
		}
	case 5:
		panic(errWanton)
	}
}

var errWanton = errors.New("a panic that a test wants")

// wanton takes out the panics that audits cause, and fails for anything else.
func wanton(tb testing.TB, all []loop.Trouble) {
	tb.Helper()
	for _, t := range all {
		if (t.Kind != loop.Panicked || t.Value != errWanton) && t.Kind != loop.AcceptFailed {
			tb.Errorf("trouble: %v\n%s", t, t.Stack)
		}
	}
}

// An audited protocol is a client that talks a little.
type audited struct {
	*audit
	t   transport.Transport
	err error
}

func (p *audited) ConnectionMade(t transport.Transport) {
	p.move(made, built)
	p.t = t
	if _, err := t.Write(make([]byte, 1+p.rnd.IntN(3000))); err != nil {
		p.Errorf("Write in ConnectionMade: %v", err)
	}
	p.act(20)
}

func (p *audited) DataReceived([]byte) {
	if p.at != made {
		p.Errorf("data at step %d", p.at)
	}
	switch p.rnd.IntN(12) {
	case 0:
		p.t.LoseConnection()
	case 1:
		p.t.AbortConnection()
	default:
		p.t.Write(make([]byte, p.rnd.IntN(1000)))
	}
	p.act(50)
}

func (p *audited) ConnectionLost(err error) {
	p.move(gone, made)
	p.err = err
	p.judge(err)
	p.act(15)
}

// A host is the server's factory: it counts its protocols, on any loop.
type host struct {
	Started
	testing.TB
	rnd         *rand.Rand
	open        bool // some port may call
	live, total int
}

func (h *host) BuildProtocol(proactor.Address) transport.Protocol {
	if !h.open {
		h.Error("BuildProtocol of a port that has stopped")
	}
	switch h.rnd.IntN(30) {
	case 0:
		return nil
	case 1:
		panic(errWanton)
	}
	return &guest{host: h}
}

// A guest is one connection of a host.
type guest struct {
	*host
	t    transport.Transport
	lost bool
}

func (g *guest) ConnectionMade(t transport.Transport) {
	if g.t != nil {
		g.Error("made twice")
	}
	g.t = t
	g.live++
	g.total++
	if g.rnd.IntN(30) == 0 {
		panic(errWanton)
	}
}

func (g *guest) DataReceived(p []byte) {
	switch g.rnd.IntN(30) {
	case 0:
		g.t.LoseConnection()
	case 1:
		g.t.AbortConnection()
	case 2:
		panic(errWanton)
	default:
		g.t.Write(p)
	}
}

func (g *guest) ConnectionLost(error) {
	if g.lost || g.t == nil {
		g.Errorf("lost twice, or never made: %v", g.t)
	}
	g.lost = true
	g.live--
	if g.rnd.IntN(30) == 0 {
		panic(errWanton)
	}
}
