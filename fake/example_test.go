package fake_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"mobius"
	"mobius/fake"
	"mobius/protocols"
)

// A clerk is a protocol to be tested: it greets, answers PING, and hangs up on
// whoever is silent for a minute.
type clerk struct {
	t     mobius.Transport
	quiet protocols.Timeout
}

func (c *clerk) ConnectionMade(t mobius.Transport) {
	c.t = t
	c.quiet.Watch(t, time.Minute)
	t.Write([]byte("hello\n"))
}

func (c *clerk) DataReceived(p []byte) {
	c.quiet.Reset()
	if bytes.Equal(p, []byte("PING\n")) {
		c.t.Write([]byte("PONG\n"))
	}
}

func (c *clerk) ConnectionLost(err error) {
	c.quiet.SetTimeout(0)
	fmt.Println("lost:", err.(*mobius.ConnError).Kind)
}

// A protocol is tested by what it writes to a transport that has no network.
func ExampleTransport() {
	t := fake.NewTransport(nil)
	t.Start(&clerk{})
	fmt.Printf("%q\n", t.Written())

	t.Clear()
	t.Receive([]byte("PING\n"))
	fmt.Printf("%q\n", t.Written())

	t.Clock().Advance(59 * time.Second)
	fmt.Println("closing:", t.Closing())
	t.Clock().Advance(time.Second)
	fmt.Println("closing:", t.Closing())
	t.End()
	// Output:
	// "hello\n"
	// "PONG\n"
	// closing: false
	// closing: true
	// lost: done
}

// Time moves when the test says so.
func ExampleClock() {
	c := fake.NewClock()
	c.CallLater(time.Hour, func() { fmt.Println("called at", c.Now()) })
	c.Advance(59 * time.Minute)
	fmt.Println("it is", c.Now())
	c.Pump(30*time.Second, 30*time.Second)
	// Output:
	// it is 59m0s
	// called at 1h0m0s
}

// register is code under test: it makes a reactor listen and connect.
func register(r *mobius.Reactor) error {
	build := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &clerk{} })
	if _, err := r.ListenTCP("127.0.0.1:7000", build); err != nil {
		return err
	}
	_, err := r.ConnectTCP("127.0.0.1:7001", mobius.Client{Factory: build})
	return err
}

// What code does with a reactor is looked at without a network.
func ExampleReactor() {
	r, err := fake.NewReactor(nil, mobius.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(register(r.Reactor))
	r.Flush()
	for _, c := range r.Calls() {
		fmt.Println(c.Kind, c.Addr)
	}
	// Output:
	// <nil>
	// listened 127.0.0.1:7000
	// connected 127.0.0.1:7001
}

// A caller says PING, and prints what it hears.
type caller struct{ t mobius.Transport }

func (c *caller) ConnectionMade(t mobius.Transport) { c.t = t }
func (c *caller) DataReceived(p []byte)             { fmt.Printf("heard %q\n", p) }
func (c *caller) ConnectionLost(err error)          { fmt.Println("caller lost:", err.(*mobius.ConnError).Kind) }

// Two protocols talk to each other in memory.
func ExampleConnect() {
	client := &caller{}
	p, err := fake.Connect(nil, client, &clerk{}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	p.Flush()
	client.t.Write([]byte("PING\n"))
	p.Flush()
	moved, _ := p.Pump(50 * time.Second)
	fmt.Println("anything moved:", moved)
	moved, _ = p.Pump(20 * time.Second) // a minute after the PING
	fmt.Println("anything moved:", moved)
	// Output:
	// heard "hello\n"
	// heard "PONG\n"
	// anything moved: false
	// caller lost: done
	// lost: done
	// anything moved: true
}

// A strict producer shows whether a consumer keeps the rules.
func ExamplePushProducer() {
	t := fake.NewTransport(nil)
	p := &fake.PushProducer{Fail: func(err error) { fmt.Println(err) }}
	fmt.Println(t.RegisterProducer(p), p.State())
	t.Fill()
	fmt.Println(p.State())
	p.PauseProducing() // a consumer must not do that
	t.Drain()
	t.Lose(nil)
	fmt.Println(p.State())
	// Output:
	// <nil> producing
	// paused
	// fake: misuse: PauseProducing of a producer that is paused
	// stopped
}

// A test runs on every backend that this machine has, and is skipped on the
// others.
func ExampleEach() {
	_ = func(t *testing.T) { // TestClerk
		fake.Each(t, func(t *testing.T, r *mobius.Reactor) {
			if err := register(r); err != nil {
				t.Fatal(err)
			}
			// … r.Run …
		})
	}
}
