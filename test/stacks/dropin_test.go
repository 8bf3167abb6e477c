package stacks

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"mobius"
	"mobius/netconn"
)

// What follows are the lines of docs/dropin.md, which TestDropinLines finds here
// word for word.

func startNet(addr string) (*netconn.Runner, net.Listener, *netconn.Dialer, error) {
	reactor, err := netconn.Start(mobius.Options{Backend: "netpoll"})
	if err != nil {
		return nil, nil, nil, err
	}
	listener, err := netconn.Listen(reactor.Reactor, "tcp", addr)
	dialer := &netconn.Dialer{Reactor: reactor.Reactor}
	return reactor, listener, dialer, err
}

// dropin runs the lines that start, until the test is over.
func dropin(t *testing.T) (*netconn.Runner, net.Listener, *netconn.Dialer) {
	t.Helper()
	reactor, listener, dialer, err := startNet("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = listener.Close()
		if err := reactor.Close(); err != nil {
			t.Error(err)
		}
	})
	return reactor, listener, dialer
}

func TestDropinNet(t *testing.T) {
	_, listener, dialer := dropin(t)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(conn, conn)
		_ = conn.Close()
	}()
	conn, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "there and back")
	// In place of conn.(*net.TCPConn):
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		err = c.CloseWrite()
	}
	if b, e := io.ReadAll(conn); string(b) != "there and back" || e != nil || err != nil {
		t.Errorf("%q, %v, %v", b, e, err)
	}
}

func TestDropinHTTP(t *testing.T) {
	_, listener, dialer := dropin(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	server := &http.Server{Handler: handler}
	go server.Serve(listener)
	transport := &http.Transport{DialContext: dialer.DialContext}
	client := &http.Client{Transport: transport}
	defer server.Close()
	defer transport.CloseIdleConnections()
	r, err := client.Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, r.Body); got != "hello" {
		t.Errorf("%q", got)
	}
}

func TestDropinGRPC(t *testing.T) {
	_, listener, dialer := dropin(t)
	server := grpc.NewServer()
	server.RegisterService(&service, nil)
	go server.Serve(listener)
	defer server.Stop()
	addr := listener.Addr().String()
	conn, err := grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", to)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out := new(wrapperspb.StringValue)
	if err := conn.Invoke(ctx, "/Echo/One", wrapperspb.String("hello"), out); err != nil || out.Value != "hello" {
		t.Errorf("%q, %v", out.Value, err)
	}
}

func TestDropinPackets(t *testing.T) {
	reactor, _, _ := dropin(t)
	packets, err := netconn.ListenPacket(reactor.Reactor, "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	transport := &quic.Transport{Conn: packets}
	serverTLS, _ := certificates(t)
	l, err := transport.Listen(serverTLS, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := transport.Close(); err != nil {
		t.Error(err)
	}
}

// Each indented block of docs/dropin.md is compiled, and run by a test: here, or by
// the example of package compat.
func TestDropinLines(t *testing.T) {
	page, err := os.ReadFile("../../docs/dropin.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, name := range []string{"dropin_test.go", "../../compat/example_test.go"} {
		b, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			code.WriteString(strings.TrimSpace(line) + "\n")
		}
	}
	blocks := indented(string(page))
	if len(blocks) < 6 {
		t.Errorf("%d blocks, want those for net, assertions, net/http, grpc, packets and gnet", len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(code.String(), block) {
			t.Errorf("no test runs\n%s", block)
		}
	}
}

// indented returns the blocks of a page that are indented by four spaces, without
// their indentation.
func indented(page string) (blocks []string) {
	inside := false
	for line := range strings.Lines(page) {
		bare := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "    "):
			if !inside {
				blocks = append(blocks, "")
			}
			inside = true
			blocks[len(blocks)-1] += bare + "\n"
		default: // also a blank line: what stands between is left out on the page
			inside = false
		}
	}
	return blocks
}
