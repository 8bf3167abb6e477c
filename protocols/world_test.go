package protocols

import (
	"testing"

	"mobius"
	"mobius/connector"
	"mobius/loop"
	"mobius/proactor"
	"mobius/test/backends"
)

// A link is a connection between a protocol under test and a plain peer, on
// one loop.
type link struct {
	*backends.World
	l    *loop.Loop
	peer *peer
}

// each runs f with a link to p's protocol on every backend.
func each(t *testing.T, p func() mobius.Protocol, f func(k *link)) {
	backends.Each(t, func(w *backends.World) { f(newLink(w, p())) })
}

func newLink(w *backends.World, p mobius.Protocol) *link {
	k := &link{World: w, l: w.Loop(), peer: &peer{}}
	build := connector.FactoryFunc(func(proactor.Address) mobius.Protocol { return p })
	port, err := connector.Listen([]*loop.Loop{k.l}, w.Address(), build, connector.ListenOptions{})
	if err != nil {
		w.Fatal(err)
	}
	toPeer := connector.FactoryFunc(func(proactor.Address) mobius.Protocol { return k.peer })
	connector.Connect(k.l, connector.To(port.Addr()), connector.Client{Factory: toPeer}, connector.Options{})
	w.Until("connected", func() bool { return k.peer.t != nil })
	return k
}

// send writes text from the peer.
func (k *link) send(text string) {
	k.Helper()
	if _, err := k.peer.t.Write([]byte(text)); err != nil {
		k.Fatal(err)
	}
}

// A peer records what it gets.
type peer struct {
	t    mobius.Transport
	got  []byte
	lost error
}

func (p *peer) ConnectionMade(t mobius.Transport) { p.t = t }
func (p *peer) DataReceived(b []byte)             { p.got = append(p.got, b...) }
func (p *peer) ConnectionLost(err error)          { p.lost = err }

// A reader records messages and does as its test says.
type reader struct {
	t    FrameTransport
	got  []string
	lost error
	made func(r *reader)
	on   func(r *reader, frame string)
}

func (r *reader) ConnectionMade(t FrameTransport) {
	r.t = t
	if r.made != nil {
		r.made(r)
	}
}

func (r *reader) FrameReceived(p []byte) {
	r.got = append(r.got, string(p))
	if r.on != nil {
		r.on(r, string(p))
	}
}

func (r *reader) ConnectionLost(err error) { r.lost = err }

// A rawReader is one that also takes raw bytes.
type rawReader struct {
	reader
	raw   []byte
	onRaw func(r *rawReader)
}

func (r *rawReader) RawReceived(p []byte) {
	r.raw = append(r.raw, p...)
	if r.onRaw != nil {
		r.onRaw(r)
	}
}
