package mobius_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"mobius"
)

// An abstract name would be "@name"; this one is a file.
func ExampleReactor_ListenUNIX() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r := newReactor(mobius.Options{})
	path := filepath.Join(dir, "socket")
	if _, err := r.ListenUNIX(path, mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return greeter{} })); err != nil {
		log.Fatal(err)
	}
	f := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &hearer{r: r} })
	if _, err := r.ConnectUNIX(path, mobius.Client{Factory: f}); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// heard "hello"
	// done
}

// A hearer prints what it hears, and stops the reactor at the end.
type hearer struct{ r *mobius.Reactor }

func (h *hearer) ConnectionMade(mobius.Transport) {}
func (h *hearer) DataReceived(p []byte)           { fmt.Printf("heard %q\n", p) }
func (h *hearer) ConnectionLost(err error) {
	fmt.Println(err.(*mobius.ConnError).Kind)
	h.r.Stop()
}

// A table is a resolver that knows few names.
type table map[string]netip.Addr

func (t table) Resolve(l *mobius.Loop, host string, done func([]netip.Addr, error)) (cancel func()) {
	call := func() {
		if a, ok := t[host]; ok {
			done([]netip.Addr{a}, nil)
			return
		}
		done(nil, &net.DNSError{Name: host, Err: "no such host", IsNotFound: true})
	}
	if err := l.Call(call); err != nil { // never inside Resolve
		log.Fatal(err)
	}
	return func() {}
}

// Whatever is connected to by name asks the resolver that is installed.
func ExampleReactor_InstallResolver() {
	r := newReactor(mobius.Options{})
	r.InstallResolver(table{"here.test": netip.MustParseAddr("127.0.0.1")})
	port, err := r.ListenTCP("127.0.0.1:0", mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return greeter{} }))
	if err != nil {
		log.Fatal(err)
	}
	f := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &hearer{r: r} })
	if _, err := r.ConnectTCP(fmt.Sprint("here.test:", port.Addr().Port()), mobius.Client{Factory: f}); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// heard "hello"
	// done
}

func ExampleReactor_LookupHost() {
	r := newReactor(mobius.Options{})
	r.InstallResolver(table{"here.test": netip.MustParseAddr("192.0.2.1")})
	r.CallWhenRunning(func() {
		answer, err := r.LookupHost("here.test")
		if err != nil {
			log.Fatal(err)
		}
		answer.Then(func(all []netip.Addr, err error) {
			fmt.Println(all, err)
			r.Stop()
		})
	})
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: [192.0.2.1] <nil>
}

// A datagram socket that package net has made.
func ExampleReactor_AdoptDatagramPort() {
	r := newReactor(mobius.Options{})
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	port, err := r.AdoptDatagramPort(socket, &gossip{r: r, name: "adopted"}, mobius.DatagramOptions{})
	if err != nil {
		log.Fatal(err)
	}
	socket.Close() // the reactor works on a duplicate
	to := port.LocalAddr()
	if _, err := r.ListenUDP("127.0.0.1:0", &gossip{r: r, say: "hello", to: &to}); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: adopted has heard "hello"
}
