package proxy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strings"

	"mobius"
	"mobius/proactor"
	"mobius/proxy"
)

// A proxy that terminates TLS, and speaks TLS to its upstream, too. A program
// reads its certificate with tls.LoadX509KeyPair.
func ExampleTLSServer() {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	server := &tls.Config{Certificates: s.TLS.Certificates} // for example.com
	client := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "example.com"}
	client.RootCAs.AddCert(s.Certificate())
	upstream, err := tls.Listen("tcp", "127.0.0.1:0", server) // somebody's server
	if err != nil {
		log.Fatal(err)
	}
	go shout(upstream)

	clients, err := proxy.TLSServer(server, nil)
	if err != nil {
		log.Fatal(err)
	}
	upstreams, err := proxy.TLSClient(client, nil)
	if err != nil {
		log.Fatal(err)
	}
	route, err := proxy.RoundRobinOf(proxy.NewUpstreamOver(proactor.FromNetAddr(upstream.Addr()), upstreams))
	if err != nil {
		log.Fatal(err)
	}
	r, err := mobius.New(mobius.Options{})
	if err != nil {
		log.Fatal(err)
	}
	p, err := proxy.New(r.Loops(), proxy.Options{Route: route, Report: proxy.ReporterFunc(func(r *proxy.Report) {
		fmt.Println(r.Reason, r.ListenerURL()[:6], r.UpstreamURL()[:6])
	})})
	if err != nil {
		log.Fatal(err)
	}
	local, _ := proactor.ParseAddress("tcp", "127.0.0.1:0")
	if err := p.ListenOver(local, clients); err != nil {
		log.Fatal(err)
	}
	go func() {
		defer r.Stop()
		fmt.Println(askTLS(p.Addrs()[0], client, "hello"))
		p.Shutdown(context.Background())
	}()
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Unordered output:
	// HELLO
	// done tls:// tls://
}

func askTLS(at net.Addr, config *tls.Config, request string) string {
	c, err := tls.Dial(at.Network(), at.String(), config)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	io.Copy(c, strings.NewReader(request))
	c.CloseWrite()
	reply, _ := io.ReadAll(c)
	return string(reply)
}
