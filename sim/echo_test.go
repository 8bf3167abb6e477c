package sim

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"mobius/proactor"
)

var loopback = must(proactor.ParseAddress("tcp", "127.0.0.1:0"))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// An echoServer accepts connections and sends back what they send.
type echoServer struct {
	b       *Backend
	accept  proactor.Op
	addr    proactor.Address
	conns   int
	stopped bool
}

func startEcho(b *Backend, at proactor.Address) (*echoServer, error) {
	s := &echoServer{b: b}
	h, addr, err := b.Listen(at, nil)
	if err != nil {
		return nil, err
	}
	s.addr = addr
	s.accept = proactor.Op{Kind: proactor.OpAccept, Handle: h, Owner: s}
	b.Submit(&s.accept)
	return s, nil
}

func (s *echoServer) Complete(op *proactor.Op) {
	if op.New != 0 {
		s.conns++
		c := &echoConn{s: s}
		c.recv = proactor.Op{Kind: proactor.OpRecv, Handle: op.New, Owner: c}
		c.send = proactor.Op{Kind: proactor.OpSend, Handle: op.New, Owner: c}
		s.b.Submit(&c.recv)
	}
	switch {
	case op.More:
	case op.Err == proactor.ErrCanceled:
		if err := s.b.CloseFD(op.Handle); err != nil {
			panic(err)
		}
	case s.stopped:
		s.b.Submit(op) // and once more, to see the last of it
		s.b.Cancel(op)
	default: // EMFILE and the like
		s.b.Resume(op)
	}
}

// An echoConn echoes on one connection: it stops reading while it writes.
type echoConn struct {
	s          *echoServer
	recv, send proactor.Op
	out        []byte
	ended      bool
}

func (c *echoConn) Complete(op *proactor.Op) {
	b := c.s.b
	switch {
	case op == &c.send && op.Err != nil:
		c.ended, c.out = true, nil
		b.Cancel(&c.recv)
	case op == &c.send:
		c.out = c.out[op.N:]
		if len(c.out) < 4096 {
			b.Resume(&c.recv)
		}
	case op.Err == nil:
		c.out = append(c.out, op.Buf...)
		if len(c.out) >= 4096 {
			b.Cancel(op)
		}
	case op.Err != proactor.ErrCanceled:
		c.ended = true
	}
	if len(c.out) > 0 && !c.send.Active() {
		c.send.Buf = bytes.Clone(c.out)
		b.Submit(&c.send)
	}
	if !c.ended && !c.recv.Active() && len(c.out) < 4096 {
		b.Submit(&c.recv)
	}
	if c.ended && !c.send.Active() && !c.recv.Active() {
		if err := b.CloseFD(c.recv.Handle); err != nil {
			panic(err)
		}
		c.s.conns--
	}
}

// A client sends data, ends its side, and collects what comes back.
type client struct {
	b                   *Backend
	h                   proactor.Handle
	connect, send, recv proactor.Op
	to                  proactor.Address
	want, got           []byte
	err                 error
	done                bool
}

func startClient(b *Backend, to proactor.Address, data []byte) (*client, error) {
	h, err := b.Stream(to, nil)
	if err != nil {
		return nil, err
	}
	c := &client{b: b, h: h, to: to, want: data}
	c.connect = proactor.Op{Kind: proactor.OpConnect, Handle: h, Addr: &c.to, Owner: c}
	c.send = proactor.Op{Kind: proactor.OpSend, Handle: h, Buf: data, Owner: c}
	c.recv = proactor.Op{Kind: proactor.OpRecv, Handle: h, Owner: c}
	b.Submit(&c.connect)
	return c, nil
}

func (c *client) Complete(op *proactor.Op) {
	switch {
	case op == &c.recv && op.Err == nil:
		c.got = append(c.got, op.Buf...)
	case op == &c.connect && op.Err == nil:
		c.b.Submit(&c.send)
		c.b.Submit(&c.recv)
	case op == &c.send && op.Err == nil:
		if err := c.b.Shutdown(c.h); err != nil {
			c.fail(err)
		}
	case op == &c.recv && op.Err == io.EOF:
	default:
		c.fail(op.Err)
	}
	if !c.connect.Active() && !c.send.Active() && !c.recv.Active() && !c.done {
		c.done = true
		if err := c.b.CloseFD(c.h); err != nil {
			panic(err)
		}
	}
}

func (c *client) fail(err error) {
	if c.err == nil {
		c.err = err
		c.b.Cancel(&c.recv)
		c.b.Cancel(&c.send)
	}
}

// echoRun is a whole run: clients on one host, a server on another.
func echoRun(n *Net, at proactor.Address, clients, size int) error {
	server, host := must(n.Open()), must(n.Open())
	s, err := startEcho(server, at)
	if err != nil {
		return nil // NoFile
	}
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * 7)
	}
	var all []*client
	for range clients {
		if c, err := startClient(host, s.addr, data); err == nil {
			all = append(all, c)
		}
	}
	err = n.Until(func() bool {
		for _, c := range all {
			if !c.done {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	s.stopped = true
	server.Cancel(&s.accept)
	if err := n.Until(func() bool { return !s.accept.Active() && s.conns == 0 }); err != nil {
		return err
	}
	for _, c := range all {
		if c.err == nil && !bytes.Equal(c.got, c.want) {
			return errors.New("the echo differs from what was sent")
		}
	}
	return n.Leaks()
}

func TestEchoWithoutFaults(t *testing.T) {
	for _, at := range []proactor.Address{loopback, proactor.UnixAddress("/run/echo")} {
		if err := echoRun(New(Options{Faults: NoFaults}), at, 3, 100_000); err != nil {
			t.Errorf("%v: %v", at, err)
		}
	}
}
