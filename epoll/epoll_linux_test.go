//go:build linux

package epoll

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"mobius/proactor"
)

// An echo sends back what it receives, one piece at a time, from the lent
// bytes.
type echo struct {
	b          proactor.Backend
	recv, send proactor.Op
	hold       *proactor.Hold
	ended      bool
}

func (e *echo) Complete(op *proactor.Op) {
	switch {
	case op == &e.send:
		e.hold.Release()
		if e.hold = nil; op.Err != nil {
			e.ended = true
			return
		}
		e.recv.Limit = 0
		if !e.recv.Active() {
			e.b.Submit(&e.recv)
		} else {
			e.b.Resume(&e.recv)
		}
	case op.Err == proactor.ErrCanceled:
	case op.Err != nil:
		e.ended = true
	default:
		if e.hold != nil {
			panic("bytes after a pause")
		}
		e.hold = e.b.Hold(op, e)
		e.send.Buf = e.hold.Bytes
		e.b.Submit(&e.send)
		if op.More {
			e.b.Cancel(op)
		}
	}
}

func (e *echo) Evict(*proactor.Hold) {}

// A server accepts and echoes.
type server struct {
	b      proactor.Backend
	accept proactor.Op
	peer   proactor.Address
	conns  []*echo
}

func (s *server) Complete(op *proactor.Op) {
	if op.Err != nil {
		return
	}
	e := &echo{b: s.b}
	e.recv = proactor.Op{Kind: proactor.OpRecv, Handle: op.New, Owner: e}
	e.send = proactor.Op{Kind: proactor.OpSend, Handle: op.New, Owner: e}
	s.conns = append(s.conns, e)
	s.b.Submit(&e.recv)
}

func TestEcho(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	address, _ := proactor.ParseAddress("tcp", "127.0.0.1:0")
	l, bound, err := b.Listen(address, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{b: b}
	s.accept = proactor.Op{Kind: proactor.OpAccept, Handle: l, Owner: s, Addr: &s.peer}
	b.Submit(&s.accept)
	done := make(chan error, 1)
	go func() {
		defer b.Wake()
		c, err := net.Dial("tcp", bound.String())
		if err != nil {
			done <- err
			return
		}
		defer c.Close()
		out, in := make([]byte, 300_000), make([]byte, 300_000)
		for i := range out {
			out[i] = byte(i * 7)
		}
		go c.Write(out)
		_, err = io.ReadFull(c, in)
		if err == nil && string(in) != string(out) {
			err = io.ErrUnexpectedEOF
		}
		done <- err
	}()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && len(done) == 0; {
		if err := b.Poll(time.Second); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatal("no echo in 10 s")
	}
}
