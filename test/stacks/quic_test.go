package stacks

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"

	"mobius/netconn"
)

func listenPacket(s stack, network, address string) (net.PacketConn, error) {
	if s, ok := s.(ours); ok {
		return netconn.ListenPacket(s.r.Reactor, network, address)
	}
	return net.ListenPacket(network, address)
}

func TestQUIC(t *testing.T) {
	each(t, testQUIC)
}

func testQUIC(t *testing.T, s stack) {
	here, err := listenPacket(s, "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	there, err := listenPacket(s, "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, client := &quic.Transport{Conn: here}, &quic.Transport{Conn: there}
	t.Cleanup(func() { _, _, _, _ = client.Close(), server.Close(), here.Close(), there.Close() })
	serverTLS, clientTLS := certificates(t)
	l, err := server.Listen(serverTLS, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() {
		c, err := l.Accept(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		for {
			stream, err := c.AcceptStream(ctx)
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(stream, stream)
				_ = stream.Close()
			}()
		}
	}()
	c, err := client.Dial(ctx, here.LocalAddr(), clientTLS, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			stream, err := c.OpenStreamSync(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			want := strings.Repeat(fmt.Sprint(i), 100_000)
			go func() {
				_, _ = io.WriteString(stream, want)
				_ = stream.Close()
			}()
			if b, err := io.ReadAll(stream); err != nil || string(b) != want {
				t.Errorf("stream %d: %d bytes of %d, %v", i, len(b), len(want), err)
			}
		})
	}
	all.Wait()
	_ = c.CloseWithError(0, "done")
}

// certificates returns what a server and a client of QUIC need.
func certificates(t *testing.T) (server, client *tls.Config) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	t.Cleanup(s.Close)
	server = &tls.Config{Certificates: s.TLS.Certificates, NextProtos: []string{"echo"}}
	client = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	client.ServerName, client.NextProtos = "example.com", []string{"echo"}
	return server, client
}
