package mobius

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

func TestStopLosesConnections(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r, err := New(Options{Backend: name, Loops: 2})
		if err != nil {
			t.Fatal(err)
		}
		s := newServer()
		port, err := r.ListenTCP("127.0.0.1:0", s) // before Run
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ran := make(chan error, 1)
		go func() { ran <- r.Run(ctx) }()
		for range 4 {
			if err := ask(dial(t, port.Addr()), "hello"); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if err := wait(t, ran); err != nil {
			t.Errorf("Run: %v", err)
		}
		if len(s.lost) != 4 {
			t.Errorf("%d connections were lost, want 4", len(s.lost))
		}
		for _, err := range s.lost {
			if !errors.Is(err, ErrStopped) {
				t.Errorf("a connection was lost with %v, want %v", err, ErrStopped)
			}
		}
		if err := r.Run(context.Background()); err != ErrNotRestartable {
			t.Errorf("second Run: %v", err)
		}
		if err := r.Call(func() {}); !errors.Is(err, ErrStopped) {
			t.Errorf("Call after the end: %v", err)
		}
	})
}

func TestShutdownDrains(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name, Loops: 2})
		s := newServer()
		port, err := r.ListenTCP("127.0.0.1:0", s)
		if err != nil {
			t.Fatal(err)
		}
		c := dial(t, port.Addr())
		if err := ask(c, "before"); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- r.Shutdown(context.Background()) }()
		eventually(t, "the port refuses", func() bool {
			c, err := net.Dial("tcp", port.Addr().String())
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		if err := ask(c, "while draining"); err != nil {
			t.Errorf("a connection is served on while the reactor drains: %v", err)
		}
		c.Close()
		if err := wait(t, ended); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

func TestShutdownHasADeadline(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name, Loops: 2})
		s := newServer()
		port, err := r.ListenTCP("127.0.0.1:0", s)
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(dial(t, port.Addr()), "hello"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := r.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v, want the context's error", err)
		}
		wait(t, s.lostOne)
		var e *ConnError
		if !errors.As(s.lost[0], &e) || e.Kind != Aborted {
			t.Errorf("the connection was lost with %v, want Aborted", s.lost[0])
		}
	})
}

// A Shutdown waits for clients on every loop, though other loops have nothing
// left to do before.
func TestShutdownWaitsForEveryLoop(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name, Loops: 3})
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		client := &quiet{make(chan struct{}, 1), make(chan error, 1)}
		if _, err := r.ConnectTCP(ln.Addr().String(), Client{Factory: FactoryFunc(func(Address) Protocol { return client })}); err != nil {
			t.Fatal(err)
		}
		wait(t, client.made)
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ended := make(chan error, 1)
		go func() { ended <- r.Shutdown(context.Background()) }()
		c.SetDeadline(time.Now().Add(patience))
		if n, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the server read %d bytes, %v; want the client's end", n, err)
		}
		c.Close()
		var e *ConnError
		if err := wait(t, client.lost); !errors.As(err, &e) || e.Kind != Done {
			t.Errorf("the client was lost with %v, want Done", err)
		}
		if err := wait(t, ended); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

type quiet struct {
	made chan struct{}
	lost chan error
}

func (q *quiet) ConnectionMade(Transport) { q.made <- struct{}{} }
func (q *quiet) DataReceived([]byte)      {}
func (q *quiet) ConnectionLost(err error) { q.lost <- err }

func TestShutdownAndCloseBeforeRun(t *testing.T) {
	for _, end := range []func(*Reactor) error{(*Reactor).Close, func(r *Reactor) error { return r.Shutdown(context.Background()) }} {
		r, err := New(Options{Loops: 2})
		if err != nil {
			t.Fatal(err)
		}
		port, err := r.ListenTCP("127.0.0.1:0", newServer())
		if err != nil {
			t.Fatal(err)
		}
		if err := end(r); err != nil {
			t.Error(err)
		}
		if c, err := net.Dial("tcp", port.Addr().String()); err == nil {
			c.Close()
			t.Error("the port is still there")
		}
		if err := end(r); err != nil {
			t.Error(err)
		}
		if err := r.Run(context.Background()); err != ErrNotRestartable {
			t.Errorf("Run of a closed reactor: %v", err)
		}
	}
}
