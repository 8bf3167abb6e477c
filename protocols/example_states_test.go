package protocols_test

import (
	"encoding/binary"
	"fmt"

	"mobius"
	"mobius/fake"
	"mobius/protocols"
)

// A counted reads a number of four bytes, then as many bytes, and so on.
type counted struct{}

func (c counted) ConnectionMade(mobius.Transport) (protocols.State, int) { return c.length, 4 }
func (c counted) ConnectionLost(error)                                   {}

func (c counted) length(p []byte) (protocols.State, int) {
	return c.body, int(binary.BigEndian.Uint32(p))
}

func (c counted) body(p []byte) (protocols.State, int) {
	fmt.Printf("%s\n", p)
	return c.length, 4
}

// A machine that says how many bytes each of its states wants.
func ExampleStates() {
	t := fake.NewTransport(nil)
	t.Start(protocols.States(counted{}, 1000))
	t.Receive([]byte("\x00\x00\x00\x03one\x00\x00\x00\x03t"))
	t.Receive([]byte("wo"))
	// Output:
	// one
	// two
}
