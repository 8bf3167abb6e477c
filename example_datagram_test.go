package mobius_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"mobius"
)

// A gossip answers the first datagram, prints what it hears, and stops when it
// has been answered.
type gossip struct {
	r     *mobius.Reactor
	name  string
	say   string          // at the start, if it is connected
	to    *mobius.Address // where to say it, if it is not
	reply string
	port  *mobius.DatagramPort
}

func (g *gossip) StartProtocol(p *mobius.DatagramPort) {
	g.port = p
	if g.to != nil {
		p.WriteTo([]byte(g.say), *g.to)
	}
}

func (g *gossip) DatagramReceived(p []byte, from mobius.Address) {
	fmt.Printf("%s has heard %q\n", g.name, p)
	if g.reply != "" {
		g.port.WriteTo([]byte(g.reply), from)
		return
	}
	g.r.Stop()
}

func (g *gossip) StopProtocol(error) {}

func ExampleReactor_ListenUDP() {
	r := newReactor(mobius.Options{})
	server, err := r.ListenUDP("127.0.0.1:0", &gossip{r: r, name: "server", reply: "pong"})
	if err != nil {
		log.Fatal(err)
	}
	to := server.LocalAddr()
	if _, err := r.ListenUDP("127.0.0.1:0", &gossip{r: r, name: "client", say: "ping", to: &to}); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// server has heard "ping"
	// client has heard "pong"
}

// On a simulated network, which has multicast wherever this runs; without
// Options.Open it is the real one.
func ExampleReactor_ListenMulticast() {
	r := virtual()
	group, err := mobius.ParseAddress("udp", "224.0.0.251:5353")
	if err != nil {
		log.Fatal(err)
	}
	member, err := r.ListenMulticast("0.0.0.0:5353", &gossip{r: r, name: "member"}, true)
	if err != nil {
		log.Fatal(err)
	}
	if err := member.Join(mobius.Membership{Group: group.IP()}); err != nil {
		log.Fatal(err)
	}
	if _, err := r.ListenUDP("0.0.0.0:0", &gossip{r: r, say: "who is there?", to: &group}); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: member has heard "who is there?"
}

// Both ends have a path, so that one can answer the other.
func ExampleReactor_ConnectUNIXDatagram() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r := newReactor(mobius.Options{})
	server, client := filepath.Join(dir, "server"), filepath.Join(dir, "client")
	if _, err := r.ListenUNIXDatagram(server, &gossip{r: r, name: "server", reply: "pong"}); err != nil {
		log.Fatal(err)
	}
	port, connected, err := r.ConnectUNIXDatagram(server, client, &gossip{r: r, name: "client"})
	if err != nil {
		log.Fatal(err)
	}
	r.CallWhenRunning(func() {
		connected.Then(func(_ struct{}, err error) {
			if err != nil {
				log.Fatal(err)
			}
			port.Write([]byte("ping"))
		})
	})
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// server has heard "ping"
	// client has heard "pong"
}

// The server's end of a connection that package net has made.
func ExampleReactor_AdoptStreamConnection() {
	r := newReactor(mobius.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	go talk(l.Addr(), func() { r.Stop() })
	c, err := l.Accept()
	if err != nil {
		log.Fatal(err)
	}
	if _, err := r.AdoptStreamConnection(c, mobius.FactoryFunc(newEcho), nil); err != nil {
		log.Fatal(err)
	}
	c.Close() // the reactor works on a duplicate
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: hello
}

// A port of a listener that is there already.
func ExampleReactor_AdoptStreamPort() {
	r := newReactor(mobius.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	port, err := r.AdoptStreamPort(l, mobius.FactoryFunc(newEcho), mobius.ListenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	l.Close() // the reactor works on a duplicate
	go talk(port.Addr(), func() { r.Stop() })
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: hello
}

// What systemd hands over to a socket-activated service.
func ExampleListenFDs() {
	environ := []string{"LISTEN_PID=42", "LISTEN_FDS=2", "LISTEN_FDNAMES=http:admin", "HOME=/"} // os.Environ()
	fds, rest, err := mobius.ListenFDs(environ, 42)                                             // os.Getpid()
	fmt.Println(fds, rest, err)
	// Output: [{3 http} {4 admin}] [HOME=/] <nil>
}
