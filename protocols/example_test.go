package protocols_test

import (
	"fmt"
	"time"

	"mobius"
	"mobius/fake"
	"mobius/protocols"
)

// A pager answers each message with its length.
type pager struct{ t protocols.FrameTransport }

func (p *pager) ConnectionMade(t protocols.FrameTransport) { p.t = t }
func (p *pager) ConnectionLost(error)                      {}

func (p *pager) FrameReceived(frame []byte) {
	p.t.SendFrame(fmt.Appendf(nil, "%d bytes", len(frame)))
}

// feed starts a protocol on a transport without a network, and feeds it pieces.
func feed(p mobius.Protocol, pieces ...string) *fake.Transport {
	t := fake.NewTransport(nil)
	t.Start(p)
	for _, piece := range pieces {
		t.Receive([]byte(piece))
	}
	return t
}

// However the network cuts the stream, the protocol gets whole lines.
func ExampleFrames() {
	t := feed(protocols.Frames(protocols.Lines("\n", 80), &pager{}), "hel", "lo\nand ", "bye\nnot yet whole")
	fmt.Printf("%q\n", t.Written())
	// Output: "5 bytes\n7 bytes\n"
}

func ExampleNetstrings() {
	t := feed(protocols.Frames(protocols.Netstrings(1000), &pager{}), "5:hello,", "3:bye,")
	fmt.Printf("%q\n", t.Written())
	// Output: "7:5 bytes,7:3 bytes,"
}

func ExamplePrefixed() {
	t := feed(protocols.Frames(protocols.Prefixed(2, 1000), &pager{}), "\x00\x05hello\x00", "\x03bye")
	fmt.Printf("%q\n", t.Written())
	// Output: "\x00\a5 bytes\x00\a3 bytes"
}

// A message that is longer than may be ends the connection.
func ExampleLines() {
	t := feed(protocols.Frames(protocols.Lines("\n", 10), &pager{}), "this line is too long\n")
	fmt.Println(t.Closing() || t.Aborted())
	// Output: true
}

// A sleeper loses whoever says nothing for a minute.
type sleeper struct{ quiet protocols.Timeout }

func (s *sleeper) ConnectionMade(t mobius.Transport) { s.quiet.Watch(t, time.Minute) }
func (s *sleeper) DataReceived([]byte)               { s.quiet.Reset() }
func (s *sleeper) ConnectionLost(error)              { s.quiet.SetTimeout(0) }

func ExampleTimeout() {
	t := feed(&sleeper{})
	t.Clock().Advance(50 * time.Second)
	t.Receive([]byte("I am here"))
	t.Clock().Advance(50 * time.Second)
	fmt.Println(t.Closing())
	t.Clock().Advance(10 * time.Second)
	fmt.Println(t.Closing())
	// Output:
	// false
	// true
}
