package mixed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
	"mobius/transport/datagram"
	"mobius/transport/process"
)

// A chat is one end of a stream: a client sends out in pieces, and ends once all
// has come back, or earlier; a server sends back what it gets.
type chat struct {
	p       *play
	what    string
	server  bool
	t       transport.Transport
	out     []byte
	sent    int
	got     []byte
	rude    bool  // it aborts on its way
	failed  bool  // it never came to be
	refused error // of an echo: the connection must have broken
	made    int
	losts   int
	err     error
	timer   loop.Timer
}

func (p *play) chat(what string, server bool) *chat {
	c := &chat{p: p, what: what, server: server, rude: p.rng.IntN(10) == 0}
	c.timer.Func = c.step
	p.chats = append(p.chats, c)
	return c
}

func (c *chat) ConnectionMade(t transport.Transport) {
	c.t = t
	c.made++
	if !c.server {
		c.step()
	}
}

func (c *chat) DataReceived(b []byte) {
	if c.server {
		if _, err := c.t.Write(b); err != nil {
			c.refused = err
		}
		if c.p.rng.IntN(8) == 0 && !c.timer.Active() {
			c.t.PauseReading()
			c.t.Loop().Start(&c.timer, time.Duration(c.p.rng.IntN(1000))*time.Microsecond)
		}
		return
	}
	c.got = append(c.got, b...)
	if !bytes.HasPrefix(c.out[:c.sent], c.got) {
		c.p.Fatalf("%s: bytes came back that were not sent, after %d", c.what, len(c.got)-len(b))
	}
	if len(c.got) == len(c.out) {
		c.t.LoseConnection()
	}
}

func (c *chat) ConnectionLost(err error) {
	c.losts++
	c.err = err
	c.timer.Stop()
}

// step is the next thing that a client does, or the end of a server's pause.
func (c *chat) step() {
	if c.server {
		c.t.ResumeReading()
		return
	}
	switch rng := c.p.rng; {
	case c.rude && rng.IntN(10) == 0:
		c.t.AbortConnection()
		return
	case c.sent == len(c.out):
		c.t.ResumeReading()
		return
	case rng.IntN(8) == 0:
		c.t.PauseReading()
	default:
		c.t.ResumeReading()
		n := min(1+rng.IntN(1<<rng.IntN(15)), len(c.out)-c.sent)
		c.sent += n // before it can come back
		if _, err := c.t.Write(c.out[c.sent-n : c.sent]); err != nil {
			return // it is ending
		}
	}
	c.t.Loop().Start(&c.timer, time.Duration(c.p.rng.IntN(1000))*time.Microsecond)
}

func (c *chat) over() bool { return c.failed || c.losts > 0 || c.server && c.made == 0 }

func (c *chat) judge() {
	if c.made > 1 || c.losts > 1 || c.made != c.losts && c.what != "tls" {
		c.p.Errorf("%s: made %d times, lost %d times", c.what, c.made, c.losts)
	}
	var e *transport.ConnError
	if c.refused != nil && (!errors.As(c.err, &e) || e.Kind == transport.Done) {
		c.p.Errorf("%s: an echo was refused with %v on a connection that ended with %v", c.what, c.refused, c.err)
	}
	if c.server || c.failed {
		return
	}
	if c.losts > 0 && !errors.As(c.err, &e) {
		c.p.Errorf("%s ended with %v", c.what, c.err)
		return
	}
	if len(c.got) == len(c.out) {
		c.p.met[c.what]++
	} else if e.Kind == transport.Done && errors.Is(c.err, io.EOF) && !c.rude {
		c.p.Errorf("%s ended well with %d of %d bytes", c.what, len(c.got), len(c.out))
	}
}

// A child is cat, as its parent sees it.
type child struct {
	p       *play
	t       *process.Process
	out     []byte
	sent    int
	got     []byte
	exits   int
	ended   bool
	failure error
}

func (c *child) ConnectionMade(t *process.Process) {
	c.t = t
	c.write()
}

// write sends pieces until the pipe is closed at the end.
func (c *child) write() {
	for c.sent < len(c.out) {
		n := min(1+c.p.rng.IntN(20_000), len(c.out)-c.sent)
		if _, err := c.t.Write(c.out[c.sent : c.sent+n]); err != nil {
			c.p.Errorf("write to the child: %v", err)
			break
		}
		c.sent += n
	}
	c.t.CloseStdin()
}

func (c *child) ChildDataReceived(_ int, b []byte) { c.got = append(c.got, b...) }
func (c *child) ChildConnectionLost(int)           {}

func (c *child) ProcessExited(error) { c.exits++ }

func (c *child) ProcessEnded(err error) { c.ended, c.failure = true, err }

func (c *child) judge() {
	if c.exits != 1 || c.failure != nil || !bytes.Equal(c.got, c.out) {
		c.p.Errorf("the child exited %d times, %v, with %d of %d bytes", c.exits, c.failure, len(c.got), len(c.out))
	}
	c.p.met["pipes"]++
}

// A box is a datagram socket that sends some, and checks those that come.
type box struct {
	p      *play
	what   string
	port   *datagram.Port
	to     proactor.Address
	left   int  // to be sent, the last one nothing but a while of silence
	echoes bool // what comes is sent back
	alone  bool // nothing may come
	from   func() proactor.Address
	got    int
	stops  int
	timer  loop.Timer
}

func (b *box) StartProtocol(port *datagram.Port) { b.port = port }

func (b *box) StopProtocol(error) {
	b.stops++
	b.timer.Stop()
}

// datagramOf returns one that says of itself whether it is whole.
func (b *box) datagramOf() []byte {
	d := pattern(b.p.rng, 4+b.p.rng.IntN(1200))
	binary.BigEndian.PutUint32(d, crc32.ChecksumIEEE(d[4:]))
	return d
}

func (b *box) DatagramReceived(d []byte, from proactor.Address) {
	b.got++
	switch {
	case b.alone:
		b.p.Errorf("%s: %d bytes for somebody else", b.what, len(d))
	case len(d) < 4 || crc32.ChecksumIEEE(d[4:]) != binary.BigEndian.Uint32(d):
		b.p.Errorf("%s: %d bytes that are no datagram of ours", b.what, len(d))
	case from != b.from():
		b.p.Errorf("%s: from %v, want %v", b.what, from, b.from())
	case b.echoes:
		_ = b.port.WriteTo(d, from) // a full queue is a loss like others
	}
}

// step sends the next one.
func (b *box) step() {
	wait := time.Duration(b.p.rng.IntN(2000)) * time.Microsecond
	if b.left--; b.left > 0 {
		_ = b.port.WriteTo(b.datagramOf(), b.to)
	}
	if b.left == 1 {
		wait = 10 * time.Second
	}
	if b.left > 0 {
		b.port.Loop().Start(&b.timer, wait)
	}
}

// box makes one; nil is a fault.
func (p *play) box(l *loop.Loop, what string, at proactor.Address, o *proactor.SocketOptions) *box {
	b := &box{p: p, what: what}
	b.timer.Func = b.step
	port, err := datagram.Listen(l, at, b, &datagram.Options{Socket: o})
	if err != nil {
		return nil
	}
	p.packets = append(p.packets, port)
	p.boxes = append(p.boxes, b)
	return b
}

func (b *box) begin(to proactor.Address) {
	b.to, b.left = to, 2+b.p.rng.IntN(30)
	b.port.Loop().Start(&b.timer, 0)
}

// datagrams has one socket send to another, which echoes.
func (p *play) datagrams(what string, here, there proactor.Address) {
	a := p.box(p.clients, what, here, nil)
	b := p.box(p.servers, what, there, &proactor.SocketOptions{SegmentedReceive: segmented(what)})
	if a == nil || b == nil {
		return
	}
	a.from, b.from, b.echoes = b.port.LocalAddr, a.port.LocalAddr, true
	a.begin(b.port.LocalAddr())
}

func segmented(what string) proactor.Switch {
	if what == "udp" {
		return proactor.On
	}
	return proactor.Unset
}

// multicast has a member of a group and one who is none on either loop.
func (p *play) multicast() {
	any, err := proactor.ParseAddress("udp", "0.0.0.0:0")
	if err != nil {
		p.Fatal(err)
	}
	group, err := proactor.ParseAddress("udp", "239.1.2.3:0")
	if err != nil {
		p.Fatal(err)
	}
	in := p.box(p.servers, "multicast", any, nil)
	out := p.box(p.clients, "multicast", p.loopback(), nil)
	if in == nil || out == nil {
		return
	}
	if err := in.port.Join(proactor.Membership{Group: group.IP(), Interface: "127.0.0.1"}); err != nil {
		p.Errorf("Join: %v", err)
	}
	if err := out.port.SetOptions(&proactor.SocketOptions{MulticastInterface: "127.0.0.1"}); err != nil {
		p.Errorf("SetOptions: %v", err)
	}
	out.alone = true
	in.from = out.port.LocalAddr
	out.begin(group.WithPort(in.port.LocalAddr().Port()))
}

func (p *play) loopback() proactor.Address {
	a, err := proactor.ParseAddress("udp", "127.0.0.1:0")
	if err != nil {
		p.Fatal(err)
	}
	return a
}
