package policies_test

import (
	"bytes"
	"fmt"
	"time"

	"mobius"
	"mobius/fake"
	"mobius/policies"
)

// An echo writes back what it gets.
type echo struct{ t mobius.Transport }

func (e *echo) ConnectionMade(t mobius.Transport) { e.t = t }
func (e *echo) DataReceived(p []byte)             { e.t.Write(bytes.Clone(p)) }
func (e *echo) ConnectionLost(error)              {}

// echoes builds them.
func echoes() mobius.Factory {
	return mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &echo{} })
}

// on starts a protocol of f's on a transport without a network.
func on(f mobius.Factory) *fake.Transport {
	t := fake.NewTransport(nil)
	if p := f.BuildProtocol(t.Remote); p != nil {
		t.Start(p)
		return t
	}
	return nil
}

func ExampleWrap() {
	f := policies.Wrap(echoes(), func(peer mobius.Address, w *policies.Wrapper) {
		w.Made = func(mobius.Transport) { fmt.Println(peer, "has come") }
		w.Received = func(p []byte) { fmt.Printf("received %q\n", p) }
		w.Written = func(p []byte) { fmt.Printf("written %q\n", p) }
		w.Lost = func(err error) { fmt.Println("lost:", err.(*mobius.ConnError).Kind) }
	})
	t := on(f)
	t.Receive([]byte("hello"))
	t.Lose(nil)
	// Output:
	// 198.51.100.1:54321 has come
	// received "hello"
	// written "hello"
	// lost: lost
}

func ExampleLimitTotal() {
	f := &policies.LimitTotal{Factory: echoes(), Max: 1}
	first := on(f)
	fmt.Println("a second one is refused:", on(f) == nil)
	first.Lose(nil)
	fmt.Println("refused:", on(f) == nil)
	// Output:
	// a second one is refused: true
	// refused: false
}

func ExampleLimitPerPeer() {
	f := &policies.LimitPerPeer{Factory: echoes(), Max: 2}
	for range 3 {
		fmt.Println("refused:", on(f) == nil)
	}
	// Output:
	// refused: false
	// refused: false
	// refused: true
}

func ExampleTimeout() {
	t := on(policies.Timeout(echoes(), time.Minute))
	t.Clock().Advance(50 * time.Second)
	t.Receive([]byte("here I am"))
	t.Clock().Advance(50 * time.Second)
	fmt.Println("closing:", t.Closing())
	t.Clock().Advance(10 * time.Second)
	fmt.Println("closing:", t.Closing())
	// Output:
	// closing: false
	// closing: true
}

// A connection that has received too much is not read from until its rate
// allows it.
func ExampleThrottle() {
	f := &policies.Throttle{
		Factory: echoes(),
		Each:    policies.Rates{Read: 1000}, // bytes a second
		Total:   policies.Rates{Read: 1_000_000, Write: 1_000_000},
	}
	t := on(f)
	t.Receive(make([]byte, 3000))
	fmt.Println(t.Reading())
	t.Clock().Advance(1900 * time.Millisecond)
	fmt.Println(t.Reading())
	t.Clock().Advance(100 * time.Millisecond)
	fmt.Println(t.Reading())
	// Output:
	// paused
	// paused
	// producing
}

func ExampleTrafficLog() {
	f := &policies.TrafficLog{Factory: echoes(), Record: func(conn uint64, d policies.Direction, p []byte) {
		fmt.Printf("%d %-3v %q\n", conn, d, p)
	}}
	on(f).Receive([]byte("hello"))
	on(f).Receive([]byte("and hello"))
	fmt.Println(f.Bytes(policies.In), "bytes in")
	// Output:
	// 1 in  "hello"
	// 1 out "hello"
	// 2 in  "and hello"
	// 2 out "and hello"
	// 14 bytes in
}

// Two connections share what their host may have.
func ExampleBucket() {
	host := &policies.Bucket{Size: 100, Rate: 10}
	a, b := &policies.Bucket{Size: 80, Parent: host}, &policies.Bucket{Size: 80, Parent: host}
	fmt.Println(a.Add(0, 80), b.Add(0, 80))
	fmt.Println(b.Add(2*time.Second, 80))
	a.Fill(2*time.Second, 30)
	fmt.Println(host.Over(2 * time.Second))
	// Output:
	// 80 20
	// 20
	// 3s
}
