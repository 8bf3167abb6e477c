package netconn

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
	"mobius/transport"
)

// A giver is a protocol over TLS that answers its first bytes, and then gives the
// connection away in the middle of them.
type giver struct {
	t    testing.TB
	tr   mobius.Transport
	got  []byte
	lost chan error
	done chan net.Conn
}

func (g *giver) ConnectionMade(t mobius.Transport) { g.tr = t }
func (g *giver) ConnectionLost(err error)          { g.lost <- err }
func (g *giver) DataReceived(p []byte) {
	g.got = append(g.got, p...)
	g.tr.Write([]byte("taken "))
	if err := Hijack(g.tr, Options{}, func(c net.Conn, err error) {
		if err != nil {
			g.t.Error(err)
		}
		g.done <- c
	}); err != nil {
		g.t.Error(err)
	}
	if err := Hijack(g.tr, Options{}, nil); !errors.Is(err, transport.ErrNotWritable) {
		g.t.Errorf("a second Hijack: %v", err)
	}
	if _, err := g.tr.Write([]byte("x")); !errors.Is(err, transport.ErrNotWritable) {
		g.t.Errorf("Write afterwards: %v", err)
	}
}

// A protocol over TLS gives its connection away in the middle of a stream: no byte is
// lost, and it goes on under the same keys.
func TestHijackTLS(t *testing.T) {
	ca := testenv.NewCA(t)
	own := &tls.Config{Certificates: []tls.Certificate{ca.Issue("127.0.0.1")}}
	sent := pattern(400_000)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		trusting := &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1", MaxVersion: version}
		everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
			g := &giver{t: t, lost: make(chan error, 1), done: make(chan net.Conn, 1)}
			port, err := r.ListenTLS("127.0.0.1:0", own, mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return g }))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = r.On(port.Loop(), func() { port.StopListening() }) }()
			client, err := tls.Dial("tcp", port.Addr().String(), trusting)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			client.SetDeadline(time.Now().Add(testenv.Patience()))
			written := make(chan error, 1)
			go func() { _, err := client.Write(sent); written <- errors.Join(err, client.CloseWrite()) }()
			c, ok := (<-g.done).(*tls.Conn)
			if !ok {
				t.Fatal("it is no tls.Conn")
			}
			defer c.Close()
			rest, err := io.ReadAll(c)
			if all := append(g.got, rest...); err != nil || string(all) != string(sent) {
				t.Errorf("%d + %d bytes of %d came, %v", len(g.got), len(rest), len(sent), err)
			}
			var lost *transport.ConnError
			if err := <-g.lost; !errors.As(err, &lost) || lost.Kind != transport.Detached {
				t.Errorf("ConnectionLost: %v", err)
			}
			if err := <-written; err != nil {
				t.Error(err)
			}
			c.Write([]byte("by another"))
			p := make([]byte, 16)
			if _, err := io.ReadFull(client, p); err != nil || string(p) != "taken by another" {
				t.Errorf("the client got %q, %v", p, err)
			}
			if s := c.ConnectionState(); s.Version != version || c.RemoteAddr().String() != client.LocalAddr().String() {
				t.Errorf("version %#x, of %v", s.Version, c.RemoteAddr())
			}
			c.SetReadDeadline(time.Unix(1, 0))
			if _, err := c.NetConn().Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a late Read: %v", err)
			}
		})
	}
}
