package flow_test

import (
	"fmt"

	"mobius"
	"mobius/fake"
	"mobius/flow"
)

// A counter is a protocol that sends numbers, as a producer of its own output:
// no faster than they are taken.
type counter struct {
	flow.Consumer
	next int
}

func (c *counter) ConnectionMade(t mobius.Transport) {
	c.Attach(t)
	if err := c.RegisterPull(c); err != nil {
		t.CloseWithError(err)
	}
}

func (c *counter) DataReceived([]byte) {}

// ResumeProducing is asked for the next piece.
func (c *counter) ResumeProducing() {
	if c.next == 100_000 {
		c.UnregisterProducer()
		c.LoseConnection()
		return
	}
	c.Write(fmt.Appendf(nil, "%d\n", c.next))
	c.next++
}

func (c *counter) StopProducing() {}

// A listener adds up what it hears.
type listener struct {
	t     mobius.Transport
	bytes int
}

func (l *listener) ConnectionMade(t mobius.Transport) { l.t = t }
func (l *listener) DataReceived(p []byte)             { l.bytes += len(p) }
func (l *listener) ConnectionLost(err error) {
	fmt.Println(l.bytes, "bytes,", err.(*mobius.ConnError).Kind)
}

func ExampleConsumer() {
	c, l := &counter{}, &listener{}
	p, err := fake.Connect(nil, l, c, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	l.t.PauseReading()
	p.Flush()
	fmt.Println("all has been written:", c.next == 100_000)
	l.t.ResumeReading()
	p.Flush()
	fmt.Println("all has been written:", c.next == 100_000)
	// Output:
	// all has been written: false
	// 588890 bytes, done
	// all has been written: true
}

// A hose is a push producer: it writes all it has, but for when it is told to
// pause.
type hose struct {
	to     *flow.Consumer
	left   int
	paused bool
}

func (h *hose) PauseProducing() { h.paused = true }
func (h *hose) StopProducing()  { h.paused = true }
func (h *hose) ResumeProducing() {
	for h.paused = false; !h.paused && h.left > 0; h.left -= 1000 {
		h.to.Write(make([]byte, 1000))
	}
	if h.left == 0 {
		h.to.UnregisterProducer()
	}
}

// A tap is a protocol that a hose is put on.
type tap struct{ flow.Consumer }

func (t *tap) ConnectionMade(below mobius.Transport) { t.Attach(below) }
func (t *tap) DataReceived([]byte)                   {}

func ExamplePushProducer() {
	out, l := &tap{}, &listener{}
	p, err := fake.Connect(nil, l, out, &mobius.TransportOptions{HighWater: 4000, LowWater: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := &hose{to: &out.Consumer, left: 20_000}
	out.RegisterProducer(h)
	h.ResumeProducing()
	fmt.Println("paused:", h.paused, "left:", h.left)
	out.LoseConnection() // once the hose has unregistered
	p.Flush()
	// Output:
	// paused: true left: 15000
	// 20000 bytes, done
}

// A source is a transport as a producer of another one's output.
func ExampleSource() {
	t := fake.NewTransport(nil)
	var s flow.PushProducer = flow.Source{Transport: t}
	s.PauseProducing()
	fmt.Println(t.Reading())
	s.ResumeProducing()
	fmt.Println(t.Reading())
	s.StopProducing()
	fmt.Println(t.Reading(), t.Closing())
	// Output:
	// paused
	// producing
	// stopped true
}

// say is a protocol that says something, and prints the answer.
type say struct{ text string }

func (s say) ConnectionMade(t mobius.Transport) { t.Write([]byte(s.text)) }
func (s say) DataReceived(p []byte)             { fmt.Printf("heard %q\n", p) }
func (s say) ConnectionLost(error)              {}

// factory builds p every time.
func factory(p mobius.Protocol) mobius.Factory {
	return mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return p })
}

// Whoever comes to a forwarder's port is joined to the destination.
func ExampleForwarder() {
	r, err := fake.NewReactor(nil, mobius.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	behind, err := r.ListenTCP("127.0.0.1:7000", factory(say{"hello from behind"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := r.ListenTCP("127.0.0.1:8000", &flow.Forwarder{To: mobius.To(behind.Addr())}); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := r.ConnectTCP("127.0.0.1:8000", mobius.Client{Factory: factory(say{"hello"})}); err != nil {
		fmt.Println(err)
		return
	}
	r.Flush()
	// Unordered output:
	// heard "hello from behind"
	// heard "hello"
}

// A switchboard joins every two that have come.
type switchboard struct{ waiting mobius.Transport }

func (s *switchboard) ConnectionMade(t mobius.Transport) {
	if s.waiting == nil {
		s.waiting = t
		return
	}
	if err := flow.Pipe(s.waiting, t); err != nil {
		fmt.Println(err)
	}
	s.waiting = nil
}

func (s *switchboard) DataReceived([]byte)  {}
func (s *switchboard) ConnectionLost(error) {}

func ExamplePipe() {
	r, err := fake.NewReactor(nil, mobius.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := r.ListenTCP("127.0.0.1:7000", factory(&switchboard{})); err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{"hello from the first", "hello from the second"} {
		if _, err := r.ConnectTCP("127.0.0.1:7000", mobius.Client{Factory: factory(say{text})}); err != nil {
			fmt.Println(err)
			return
		}
	}
	r.Flush()
	// Unordered output:
	// heard "hello from the first"
	// heard "hello from the second"
}
