package sim_test

import (
	"fmt"
	"io"

	"mobius/proactor"
	"mobius/sim"
)

// A shouter accepts one connection and sends back in capitals what it hears.
type shouter struct {
	b                  *sim.Backend
	accept, recv, send proactor.Op
}

func (s *shouter) listen(local proactor.Address) (proactor.Address, error) {
	h, addr, err := s.b.Listen(local, nil)
	if err != nil {
		return addr, err
	}
	s.accept = proactor.Op{Kind: proactor.OpAccept, Handle: h, Owner: s}
	s.b.Submit(&s.accept)
	return addr, nil
}

// Complete is called with each result of each of the three ops.
func (s *shouter) Complete(op *proactor.Op) {
	switch {
	case op == &s.accept && op.More: // a connection
		s.recv = proactor.Op{Kind: proactor.OpRecv, Handle: op.New, Owner: s}
		s.send = proactor.Op{Kind: proactor.OpSend, Handle: op.New, Owner: s}
		s.b.Submit(&s.recv)
		s.b.Cancel(&s.accept) // one is enough
	case op == &s.accept: // canceled
		s.b.CloseFD(op.Handle)
	case op == &s.recv && op.Err == nil: // the bytes are lent: copy them
		for _, c := range op.Buf {
			if 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			s.send.Buf = append(s.send.Buf, c)
		}
	case op == &s.recv: // io.EOF, or a failure
		s.b.Submit(&s.send)
	case op == &s.send:
		s.b.CloseFD(op.Handle)
	}
}

// A caller connects, says something, and prints what it hears.
type caller struct {
	b                   *sim.Backend
	to                  proactor.Address
	connect, send, recv proactor.Op
	heard               []byte
	done                bool
}

func (c *caller) call(text string) error {
	h, err := c.b.Stream(c.to, nil)
	if err != nil {
		return err
	}
	c.connect = proactor.Op{Kind: proactor.OpConnect, Handle: h, Addr: &c.to, Owner: c}
	c.send = proactor.Op{Kind: proactor.OpSend, Handle: h, Buf: []byte(text), Owner: c}
	c.recv = proactor.Op{Kind: proactor.OpRecv, Handle: h, Owner: c}
	c.b.Submit(&c.connect)
	return nil
}

func (c *caller) Complete(op *proactor.Op) {
	switch {
	case op == &c.connect && op.Err == nil:
		c.b.Submit(&c.send)
	case op == &c.send && op.Err == nil:
		c.b.Shutdown(op.Handle)
		c.b.Submit(&c.recv)
	case op == &c.recv && op.Err == nil:
		c.heard = append(c.heard, op.Buf...)
	default: // the end, good or bad
		if op.Err == io.EOF {
			fmt.Printf("heard %q after %v\n", c.heard, c.b.Now())
		} else {
			fmt.Printf("%v: %v\n", op.Kind, op.Err)
		}
		c.b.CloseFD(op.Handle)
		c.done = true
	}
}

// conversation is one run: a shouter on one host, a caller on another.
func conversation(net *sim.Net) error {
	server, err := net.Open()
	if err != nil {
		return err
	}
	client, err := net.Open()
	if err != nil {
		return err
	}
	local, err := proactor.ParseAddress("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr, err := (&shouter{b: server}).listen(local)
	if err != nil {
		return err
	}
	c := &caller{b: client, to: addr}
	if err := c.call("is anybody there?"); err != nil {
		return err
	}
	return net.Until(func() bool { return c.done })
}

// The same program on a network where nothing goes wrong, on one that cuts
// and delays everything, and on one that refuses connections. One seed is one
// run, so the times are always the same.
func Example() {
	for _, faults := range []*sim.Faults{
		sim.NoFaults,
		sim.NoFaults.Set(0.7, sim.Cut, sim.ShortSend, sim.Delay, sim.Jitter),
		sim.NoFaults.Set(1, sim.Refuse),
	} {
		net := sim.New(sim.Options{Seed: 1, Faults: faults})
		if err := conversation(net); err != nil {
			fmt.Println(err)
		}
	}

	// Output:
	// heard "IS ANYBODY THERE?" after 205µs
	// heard "IS ANYBODY THERE?" after 26.683767ms
	// connect: connection refused
}

// A program that waits for something that never comes is found out at once.
func ExampleDeadlock() {
	net := sim.New(sim.Options{Seed: 1, Faults: sim.NoFaults})
	host, _ := net.Open()
	local, _ := proactor.ParseAddress("unix", "/run/nobody")
	(&shouter{b: host}).listen(local) // and nobody connects
	fmt.Println(net.Until(func() bool { return false }))

	// Output:
	// sim: deadlock at 1µs with seed 1: nothing is due, and 1 ops wait
	// 	backend 0: accept on handle 0#1 (listens on /run/nobody), owner *sim_test.shouter
}
