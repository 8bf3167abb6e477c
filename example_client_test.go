package mobius_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"mobius"
)

type client struct{ r *mobius.Reactor }

func (c *client) BuildProtocol(mobius.Address) mobius.Protocol { return c }
func (c *client) ConnectionMade(mobius.Transport)              { fmt.Println("connected") }
func (c *client) ConnectionLost(err error)                     { fmt.Println(err.(*mobius.ConnError).Kind) }
func (c *client) DataReceived(p []byte) {
	fmt.Printf("received %q\n", p)
	c.r.Stop()
}

func Example_client() {
	r, err := mobius.New(mobius.Options{})
	if err != nil {
		log.Fatal(err)
	}
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go serveBadly(server)
	again := &mobius.Reconnecting{Factory: &client{r}, Initial: 10 * time.Millisecond, Max: time.Minute}
	if _, err := r.ConnectTCP(server.Addr().String(), again); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// connected
	// done
	// connected
	// received "hello"
	// stopped
}

func serveBadly(server net.Listener) { // hangs up on the first caller
	if c, err := server.Accept(); err == nil {
		c.Close()
	}
	if c, err := server.Accept(); err == nil {
		c.Write([]byte("hello"))
	}
}
