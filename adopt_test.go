package mobius

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// A hail says hello and leaves.
type hail struct{}

func (hail) ConnectionMade(t Transport) {
	if _, err := t.Write([]byte("hello")); err == nil {
		t.LoseConnection()
	}
}
func (hail) DataReceived([]byte)  {}
func (hail) ConnectionLost(error) {}

func TestListenersOfPackageNetAreAdopted(t *testing.T) {
	testenv.Leaks(t)
	r, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.AdoptStreamPort("a string", nil, ListenOptions{}); err == nil || !strings.Contains(err.Error(), "string") {
		t.Errorf("adoption of a string: %v", err)
	}
	p, err := r.AdoptStreamPort(listener, FactoryFunc(func(Address) Protocol { return hail{} }), ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil { // the port has its own
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- r.Run(context.Background()) }()
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	_ = c.Close()
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

func TestDatagramSocketsOfPackageNetAreAdopted(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name})
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		if _, err := r.AdoptDatagramPort(nil, &udpEcho{}, DatagramOptions{}); err == nil || !strings.Contains(err.Error(), "nil") {
			t.Errorf("adoption of nothing: %v", err)
		}
		p, err := r.AdoptDatagramPort(socket, &udpEcho{}, DatagramOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("udp", p.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		deadline := time.Now().Add(30 * time.Second)
		_, _ = c.SetDeadline(deadline), socket.SetDeadline(deadline)
		buf := make([]byte, 10)
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); string(buf[:n]) != "hello" {
			t.Errorf("the answer is %q, %v", buf[:n], err)
		}
		stopped := make(chan error, 1)
		if err := r.Call(func() { p.StopListening().Then(func(_ struct{}, err error) { stopped <- err }) }); err != nil {
			t.Fatal(err)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if _, err := c.Write([]byte("again")); err != nil { // the caller has the socket still
			t.Fatal(err)
		}
		if n, _, err := socket.ReadFrom(buf); string(buf[:n]) != "again" {
			t.Errorf("the socket got %q, %v", buf[:n], err)
		}
	})
}
