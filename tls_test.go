package mobius

import (
	"context"
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// A tlsEcho sends back what it gets.
type tlsEcho struct{ t Transport }

func (e *tlsEcho) ConnectionMade(t Transport) { e.t = t }
func (e *tlsEcho) DataReceived(p []byte)      { e.t.Write(p) }
func (e *tlsEcho) ConnectionLost(error)       {}

// A tlsAsker says hello and tells the answer.
type tlsAsker struct {
	answer chan string
	got    string
}

func (a *tlsAsker) ConnectionMade(t Transport) { t.Write([]byte("hello")) }

func (a *tlsAsker) DataReceived(p []byte) {
	if a.got += string(p); len(a.got) == len("hello") {
		a.answer <- a.got
	}
}

func (a *tlsAsker) ConnectionLost(err error) { a.answer <- err.Error() }

// A server on two loops serves crypto/tls's client and ours, which verifies it
// by its address.
func TestListenAndConnectTLS(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		ca := testenv.NewCA(t)
		server := &tls.Config{Certificates: []tls.Certificate{ca.Issue("127.0.0.1")}}
		client := &tls.Config{RootCAs: ca.Pool()}
		r, err := New(Options{Backend: name, Loops: 2})
		if err != nil {
			t.Fatal(err)
		}
		port, err := r.ListenTLS("127.0.0.1:0", server, FactoryFunc(func(Address) Protocol { return &tlsEcho{} }))
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan error, 1)
		go func() { over <- r.Run(context.Background()) }()
		addr := port.Addr().String()
		for range 4 {
			c, err := tls.Dial("tcp", addr, client)
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(c, "hello")
			got := make([]byte, 5)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
				t.Errorf("%q, %v", got, err)
			}
			c.Close()
			answer := make(chan string, 2)
			f := FactoryFunc(func(Address) Protocol { return &tlsAsker{answer: answer} })
			if _, err := r.ConnectTLS(addr, client, Client{Factory: f}); err != nil {
				t.Fatal(err)
			}
			select {
			case got := <-answer:
				if got != "hello" {
					t.Errorf("answered %q", got)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("no answer after 20 s")
			}
		}
		r.Stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
}

// What cannot work is said at once, with what would be right.
func TestTLSErrors(t *testing.T) {
	r, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f := Client{Factory: FactoryFunc(func(Address) Protocol { return &tlsEcho{} })}
	for text, call := range map[string]func() error{
		"no config":      func() error { _, err := r.ListenTLS("127.0.0.1:0", nil, f); return err },
		"no certificate": func() error { _, err := r.ListenTLS("127.0.0.1:0", &tls.Config{}, f); return err },
		"no *tls.Config": func() error { _, err := r.ConnectTLS("127.0.0.1:1", nil, f); return err },
		"no host":        func() error { _, err := r.ConnectTLS(":1", &tls.Config{}, f); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want it to say %q", err, text)
		}
	}
}

// A host's name is verified as it is looked up.
func TestServerName(t *testing.T) {
	for text, want := range map[string]string{
		"bücher.test:443": "xn--bcher-kva.test", "server.test:443": "server.test", "127.0.0.1:443": "127.0.0.1", "[::1]:443": "::1",
	} {
		to, err := ParseDestination("tcp", text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := serverName(to); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
}
