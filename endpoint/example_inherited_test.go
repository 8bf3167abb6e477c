package endpoint_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"syscall"

	"mobius"
	"mobius/endpoint"
)

// The sockets that a service manager hands over (sd_listen_fds(3)), by their names.
// A program gets them by mobius.ListenFDs; a Parser without them asks the
// environment.
func ExampleNewInheritance() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		log.Fatal(err)
	}
	number, err := syscall.Dup(int(f.Fd())) // as if it were inherited
	if err != nil {
		log.Fatal(err)
	}
	f.Close()
	l.Close()
	r := newReactor()
	p := endpoint.NewParser()
	p.Inherited = endpoint.NewInheritance([]mobius.ListenFD{{FD: number, Name: "web"}})
	_, err = p.Server(r, "systemd:INET:name=mail")
	fmt.Println(err)
	server, err := p.Server(r, "systemd:INET:name=web")
	if err != nil {
		log.Fatal(err)
	}
	hear(r, server, overTCP(r))
	// Output:
	// endpoint "systemd:INET:name=mail": name is "mail", want one of "web" (LISTEN_FDNAMES)
	// heard hello
}

// A loud protocol says in capitals what it reads, and stops the reactor at the end.
type loud struct {
	r *mobius.Reactor
	t mobius.Transport
}

func (l *loud) ConnectionMade(t mobius.Transport) { l.t = t }
func (l *loud) DataReceived(p []byte)             { l.t.Write(bytes.ToUpper(p)) }
func (l *loud) ConnectionLost(error)              { l.r.Stop() }

// What runs on a port runs on standard input and output as well. The example
// starts itself as a child, so that there is something to read.
func ExampleStdioServer() {
	if os.Getenv("EXAMPLE_CHILD") != "" {
		r := newReactor()
		server, err := endpoint.ParseServer(r, "stdio:")
		if err != nil {
			log.Fatal(err)
		}
		server.Listen(mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &loud{r: r} }))
		if err := r.Run(context.Background()); err != nil {
			log.Fatal(err)
		}
		os.Exit(0)
	}
	child := exec.Command(os.Args[0], "-test.run=^ExampleStdioServer$")
	child.Env = append(os.Environ(), "EXAMPLE_CHILD=1")
	child.Stdin = bytes.NewBufferString("hello, world")
	out, err := child.Output()
	fmt.Printf("%s %v\n", out, err)
	// Output: HELLO, WORLD <nil>
}
