package stacks

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/valyala/fasthttp"
	"golang.org/x/crypto/ssh"
)

func TestFasthttp(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		l := listen(t, s)
		server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { fmt.Fprintf(ctx, "%d bytes", len(ctx.PostBody())) }}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { _ = server.Shutdown() })
		client := &fasthttp.Client{Dial: func(to string) (net.Conn, error) { return s.DialContext(context.Background(), "tcp", to) }}
		t.Cleanup(client.CloseIdleConnections)
		for _, n := range []int{0, 1, 1_000_000} {
			in, out := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			in.SetRequestURI("http://" + l.Addr().String())
			in.Header.SetMethod("POST")
			in.SetBodyString(strings.Repeat("x", n))
			if err := client.DoTimeout(in, out, patience); err != nil || string(out.Body()) != fmt.Sprint(n, " bytes") {
				t.Errorf("%d: %q, %v", n, out.Body(), err)
			}
		}
		out := load(t, `requests in`, "wrk", "-t1", "-c50", "-d"+length()+"s", "http://"+l.Addr().String())
		if strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") {
			t.Errorf("%s", out)
		}
	})
}

func TestWebsocket(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		server, client := serveHTTP(t, s, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.CloseNow()
			c.SetReadLimit(1 << 20)
			for {
				kind, b, err := c.Read(r.Context())
				if err != nil || c.Write(r.Context(), kind, b) != nil {
					return
				}
			}
		}), false)
		client.Timeout = 0
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c, _, err := websocket.Dial(ctx, server.URL, &websocket.DialOptions{HTTPClient: client})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		for _, n := range []int{0, 5, 100_000} {
			want := strings.Repeat("x", n)
			if err := c.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
				t.Fatal(err)
			}
			if _, b, err := c.Read(ctx); err != nil || string(b) != want {
				t.Errorf("%d bytes of %d, %v", len(b), n, err)
			}
		}
		if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
			t.Error(err)
		}
	})
}

func TestSSH(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ssh.NewSignerFromKey(key)
		if err != nil {
			t.Fatal(err)
		}
		config := &ssh.ServerConfig{NoClientAuth: true}
		config.AddHostKey(signer)
		l := listen(t, s)
		go func() {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			echoSSH(t, c, config)
		}()
		conn := dial(t, s, l.Addr())
		c, channels, requests, err := ssh.NewClientConn(conn, "", &ssh.ClientConfig{HostKeyCallback: ssh.FixedHostKey(signer.PublicKey())})
		if err != nil {
			t.Fatal(err)
		}
		client := ssh.NewClient(c, channels, requests)
		defer client.Close()
		ch, reqs, err := client.OpenChannel("echo", nil)
		if err != nil {
			t.Fatal(err)
		}
		go ssh.DiscardRequests(reqs)
		want := strings.Repeat("over ssh ", 100_000)
		go func() {
			_, _ = io.WriteString(ch, want)
			_ = ch.CloseWrite()
		}()
		if b, err := io.ReadAll(ch); err != nil || string(b) != want {
			t.Errorf("%d bytes of %d, %v", len(b), len(want), err)
		}
	})
}

func echoSSH(t *testing.T, c net.Conn, config *ssh.ServerConfig) {
	server, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		t.Error(err)
		return
	}
	defer server.Close()
	go ssh.DiscardRequests(requests)
	for asked := range channels {
		ch, reqs, err := asked.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		go ssh.DiscardRequests(reqs)
		go func() {
			_, _ = io.Copy(ch, ch)
			_ = ch.Close()
		}()
	}
}
