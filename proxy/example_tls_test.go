package proxy_test

import (
	"crypto/tls"
	"log"

	"mobius"
	"mobius/proactor"
	"mobius/proxy"
)

// A proxy that terminates TLS, and speaks TLS to its upstream, too.
func ExampleTLSServer() {
	pair, err := tls.LoadX509KeyPair("cert.pem", "key.pem")
	if err != nil {
		log.Fatal(err)
	}
	clients, err := proxy.TLSServer(&tls.Config{Certificates: []tls.Certificate{pair}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	upstreams, err := proxy.TLSClient(&tls.Config{ServerName: "upstream.example"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	to, _ := proactor.ParseAddress("tcp", "192.0.2.1:443")
	route, err := proxy.RoundRobinOf(proxy.NewUpstreamOver(to, upstreams))
	if err != nil {
		log.Fatal(err)
	}
	r, err := mobius.New(mobius.Options{})
	if err != nil {
		log.Fatal(err)
	}
	p, err := proxy.New(r.Loops(), proxy.Options{Route: route})
	if err != nil {
		log.Fatal(err)
	}
	on, _ := proactor.ParseAddress("tcp", "0.0.0.0:8443")
	if err := p.ListenOver(on, clients); err != nil {
		log.Fatal(err)
	}
	// … and r.Run
}
