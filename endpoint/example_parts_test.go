package endpoint_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mobius"
	"mobius/endpoint"
	"mobius/policies"
)

// hear listens on a server, connects with the client that is made for its
// address, prints what that hears, and stops the reactor.
func hear(r *mobius.Reactor, server endpoint.Server, to func(at mobius.Address) endpoint.Client) {
	ran := make(chan error)
	go func() { ran <- r.Run(context.Background()) }()
	f := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return shouter{} })
	port, err := server.Listen(f).Wait(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	h := &hearer{done: make(chan struct{})}
	if _, err := endpoint.ConnectProtocol(context.Background(), to(port.Addr()), h).Wait(context.Background()); err != nil {
		log.Fatal(err)
	}
	<-h.done
	fmt.Printf("heard %s\n", h.heard)
	r.Stop()
	<-ran
}

func newReactor() *mobius.Reactor {
	r, err := mobius.New(mobius.Options{})
	if err != nil {
		log.Fatal(err)
	}
	return r
}

// overTCP connects to a port of this host.
func overTCP(r *mobius.Reactor) func(mobius.Address) endpoint.Client {
	return func(at mobius.Address) endpoint.Client {
		return endpoint.TCPClient{Reactor: r, Host: "127.0.0.1", Port: at.Port()}
	}
}

func ExampleTCPServer() {
	r := newReactor()
	any, err := mobius.ParseAddress("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	hear(r, endpoint.TCPServer{Reactor: r, Addr: any}, overTCP(r))
	// Output:
	// heard hello
}

func ExampleUNIXServer() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r := newReactor()
	path := filepath.Join(dir, "socket")
	hear(r, endpoint.UNIXServer{Reactor: r, Path: path}, func(mobius.Address) endpoint.Client {
		return endpoint.UNIXClient{Reactor: r, Path: path}
	})
	// Output:
	// heard hello
}

// A socket that somebody else listens on already, known by its number.
func ExampleFDServer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		log.Fatal(err)
	}
	number, err := syscall.Dup(int(f.Fd())) // the endpoint's: it closes it
	if err != nil {
		log.Fatal(err)
	}
	f.Close()
	l.Close()
	r := newReactor()
	hear(r, &endpoint.FDServer{Reactor: r, FD: number, Domain: "INET"}, overTCP(r))
	// Output:
	// heard hello
}

// A policy around whatever is listened on.
func ExampleWrapServer() {
	r := newReactor()
	inner, err := endpoint.ParseServer(r, "tcp:0:interface=127.0.0.1")
	if err != nil {
		log.Fatal(err)
	}
	limited := endpoint.WrapServer("limited", inner, func(f mobius.Factory) mobius.Factory {
		return &policies.LimitTotal{Factory: f, Max: 100}
	})
	fmt.Println(limited)
	hear(r, limited, overTCP(r))
	// Output:
	// limited:tcp:port=0:interface=127.0.0.1
	// heard hello
}

// Made by hand, and as it stands in a configuration file.
func ExampleHAProxyServer() {
	r := newReactor()
	defer r.Close()
	any, err := mobius.ParseAddress("tcp", "0.0.0.0:80")
	if err != nil {
		log.Fatal(err)
	}
	s := endpoint.HAProxyServer{
		Inner:   endpoint.TCPServer{Reactor: r, Addr: any},
		Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Timeout: 2 * time.Second,
	}
	fmt.Println(s)
	text := s.String()
	same, err := endpoint.ParseServer(r, text)
	fmt.Println(same, err)
	// Output:
	// haproxy:trusted=10.0.0.0/8:timeout=2s:tcp:port=80:interface=0.0.0.0
	// haproxy:trusted=10.0.0.0/8:timeout=2s:tcp:port=80:interface=0.0.0.0 <nil>
}

// A type of one's own, beside those that are there.
func ExampleNewParser() {
	p := endpoint.NewParser()
	p.Clients["local"] = func(p *endpoint.Parser, r endpoint.Reactor, d endpoint.Description) (endpoint.Client, error) {
		args := d.Arguments("name")
		c := endpoint.UNIXClient{Reactor: r, Path: "/run/" + args.Need("name")}
		return c, args.Err()
	}
	r := newReactor()
	defer r.Close()
	c, err := p.Client(r, "local:app.sock")
	fmt.Println(c, err)
	_, err = p.Client(r, "local:app.sock:color=red")
	fmt.Println(err)
	// Output:
	// unix:path=/run/app.sock <nil>
	// endpoint "local:app.sock:color=red": it has no argument "color", but name
}

func ExampleParseDescription() {
	d, err := endpoint.ParseDescription(`tcp:host=example.com:port=80`)
	fmt.Println(d.Type, d.Args, err)
	fmt.Println(d.With("timeout", "10"))
	// Output:
	// tcp [{true host example.com} {true port 80}] <nil>
	// tcp:host=example.com:port=80:timeout=10
}

// Any text can be part of a description.
func ExampleQuote() {
	fmt.Println("unix:" + endpoint.Quote("/run/a:b"))
	// Output:
	// unix:/run/a\:b
}

// Then is for those who are not on the future's loop, and do not want to wait.
func ExampleThen() {
	r := newReactor()
	ran := make(chan error)
	go func() { ran <- r.Run(context.Background()) }()
	any, err := mobius.ParseAddress("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	f := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return shouter{} })
	endpoint.Then(endpoint.TCPServer{Reactor: r, Addr: any}.Listen(f), func(p endpoint.Port, err error) {
		fmt.Println("listens:", err == nil && p.Addr().Port() != 0)
		r.Stop()
	})
	fmt.Println(<-ran)
	// Output:
	// listens: true
	// <nil>
}
