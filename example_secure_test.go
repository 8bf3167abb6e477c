package mobius_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"mobius"
)

// TLS with options of its own: handshakes have three seconds, and a hundred may be
// in progress; the port's other options are Listen's.
func ExampleTLSFactory() {
	r := newReactor(mobius.Options{})
	server, client := selfSigned()
	secure, err := mobius.TLSFactory(mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return greeter{} }), server,
		&mobius.TLSOptions{HandshakeTimeout: 3 * time.Second, MaxHandshakes: 100})
	if err != nil {
		log.Fatal(err)
	}
	local, _ := mobius.ParseAddress("tcp", "127.0.0.1:0")
	port, err := r.Listen(local, secure, mobius.ListenOptions{})
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

// TLS over whatever connects: here to an address, with a timeout. A config that
// could verify nobody is refused at once.
func ExampleTLSClientFactory() {
	r := newReactor(mobius.Options{})
	server, client := selfSigned()
	port, err := r.ListenTLS("127.0.0.1:0", server, mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return greeter{} }))
	if err != nil {
		log.Fatal(err)
	}
	f := mobius.Client{Factory: mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &guest{r: r} })}
	nobody := client.Clone()
	nobody.ServerName = ""
	_, err = mobius.TLSClientFactory(f, nobody, nil)
	fmt.Println(err)
	secure, err := mobius.TLSClientFactory(f, client, &mobius.TLSOptions{HandshakeTimeout: 3 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := r.Connect(mobius.To(port.Addr()), secure, mobius.ConnectOptions{ConnectTimeout: time.Second}); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// tls: a client's config has no ServerName to verify the peer by (or InsecureSkipVerify)
	// verified [server.test] speaks hello/1
	// received "hello"
	// done and spoke hello/1
}
