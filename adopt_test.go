package mobius

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

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
