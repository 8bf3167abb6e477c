package mobius_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"math/big"
	"time"

	"mobius"
)

// selfSigned returns a server's configuration, and a client's that trusts it.
// A program reads its certificate with tls.LoadX509KeyPair.
func selfSigned() (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"server.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"hello/1"}}
	client = &tls.Config{RootCAs: roots, ServerName: "server.test", NextProtos: []string{"hello/1"}}
	return server, client
}

// A greeter says hello, and closes.
type greeter struct{}

func (greeter) ConnectionMade(t mobius.Transport) { t.Write([]byte("hello")); t.LoseConnection() }
func (greeter) DataReceived([]byte)               {}
func (greeter) ConnectionLost(error)              {}

// A guest is a client that prints what it meets, and stops the reactor.
type guest struct {
	r *mobius.Reactor
	t mobius.Transport
}

func (g *guest) ConnectionMade(t mobius.Transport) { g.t = t }
func (g *guest) DataReceived(p []byte)             { fmt.Printf("received %q\n", p) }

// HandshakeCompleted comes when the server is verified, before any data.
func (g *guest) HandshakeCompleted(s tls.ConnectionState) {
	fmt.Println("verified", s.PeerCertificates[0].DNSNames, "speaks", s.NegotiatedProtocol)
}

func (g *guest) ConnectionLost(err error) {
	secured, _ := mobius.As[mobius.Secured](g.t)
	fmt.Println(err.(*mobius.ConnError).Kind, "and spoke", secured.NegotiatedProtocol())
	g.r.Stop()
}

func ExampleReactor_ListenTLS() {
	r := newReactor(mobius.Options{})
	server, client := selfSigned()
	port, err := r.ListenTLS("127.0.0.1:0", server, mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return greeter{} }))
	if err != nil {
		log.Fatal(err)
	}
	f := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &guest{r: r} })
	if _, err := r.ConnectTLS(port.Addr().String(), client, mobius.Client{Factory: f}); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// verified [server.test] speaks hello/1
	// received "hello"
	// done and spoke hello/1
}

// A wary client does not go on if the server is not who it should be.
func ExampleReactor_ConnectTLS() {
	r := newReactor(mobius.Options{})
	server, client := selfSigned()
	client.ServerName = "another.test"
	port, err := r.ListenTLS("127.0.0.1:0", server, mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return greeter{} }))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := r.ConnectTLS(port.Addr().String(), client, &wary{r: r}); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: handshake failed: tls: failed to verify certificate: x509: certificate is valid for server.test, not another.test
}

type wary struct {
	mobius.ClientBase
	r *mobius.Reactor
}

func (w *wary) BuildProtocol(mobius.Address) mobius.Protocol { return greeter{} }

func (w *wary) ConnectionLost(_ *mobius.Connector, err error) {
	failed := err.(*mobius.ConnError)
	fmt.Printf("%s %v: %v\n", failed.Op, failed.Kind, failed.Err)
	w.r.Stop()
}

// An upgrader speaks in clear until both want TLS.
type upgrader struct {
	t      mobius.Transport
	config *tls.Config
	side   mobius.TLSSide
	heard  func(p []byte)
}

func (u *upgrader) ConnectionMade(t mobius.Transport) {
	u.t = t
	if u.side == mobius.TLSClient {
		t.Write([]byte("STARTTLS\n"))
	}
}

func (u *upgrader) DataReceived(p []byte) {
	switch string(p) {
	case "STARTTLS\n":
		u.t.Write([]byte("GO AHEAD\n")) // still in clear
		u.start()
	case "GO AHEAD\n":
		u.start()
		u.t.Write([]byte("a secret"))
	default:
		u.heard(p)
	}
}

func (u *upgrader) start() {
	if _, err := mobius.StartTLS(u.t, u.config, u.side, nil); err != nil {
		u.t.CloseWithError(err)
	}
}

func (u *upgrader) ConnectionLost(error) {}

func ExampleStartTLS() {
	r := newReactor(mobius.Options{})
	server, client := selfSigned()
	heard := func(p []byte) { fmt.Printf("the server has heard %q\n", p); r.Stop() }
	port, err := r.ListenTCP("127.0.0.1:0", mobius.FactoryFunc(func(mobius.Address) mobius.Protocol {
		return &upgrader{config: server, side: mobius.TLSServer, heard: heard}
	}))
	if err != nil {
		log.Fatal(err)
	}
	f := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &upgrader{config: client, side: mobius.TLSClient} })
	if _, err := r.ConnectTCP(port.Addr().String(), mobius.Client{Factory: f}); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: the server has heard "a secret"
}
