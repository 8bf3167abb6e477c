package endpoint_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/http/httptest"

	"mobius"
	"mobius/endpoint"
)

// certificates returns configurations of a server for example.com and of a client
// that trusts it. A program reads its certificate with tls.LoadX509KeyPair.
func certificates() (server, client *tls.Config) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

// TLS over whatever is listened on.
func ExampleWrapServerTLS() {
	r := newReactor()
	server, client := certificates()
	inner, err := endpoint.ParseServer(r, "tcp:0:interface=127.0.0.1")
	if err != nil {
		log.Fatal(err)
	}
	secure, err := endpoint.WrapServerTLS(server, inner)
	if err != nil {
		log.Fatal(err)
	}
	hear(r, secure, func(at mobius.Address) endpoint.Client {
		c, err := endpoint.WrapClientTLS(client, overTCP(r)(at))
		if err != nil {
			log.Fatal(err)
		}
		return c
	})
	// Output:
	// heard hello
}

// TLS over whatever connects. A config that could verify nobody is refused.
func ExampleWrapClientTLS() {
	r := newReactor()
	defer r.Close()
	_, client := certificates()
	tcp := endpoint.TCPClient{Reactor: r, Host: "192.0.2.1", Port: 443}
	c, err := endpoint.WrapClientTLS(client, tcp)
	fmt.Println(c, err)
	_, err = endpoint.WrapClientTLS(&tls.Config{}, tcp)
	fmt.Println(err)
	// Output:
	// tls:tcp:host=192.0.2.1:port=443 <nil>
	// tls: a client's config has no ServerName to verify the peer by (or InsecureSkipVerify)
}
