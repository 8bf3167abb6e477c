package mobius_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net"

	"mobius"
)

type echo struct{ t mobius.Transport }

func newEcho(mobius.Address) mobius.Protocol { return &echo{} }

func (e *echo) ConnectionMade(t mobius.Transport) { e.t = t }
func (e *echo) DataReceived(p []byte)             { e.t.Write(p) }
func (e *echo) ConnectionLost(error)              {}

func Example_echo() {
	r, err := mobius.New(mobius.Options{})
	if err != nil {
		log.Fatal(err)
	}
	port, err := r.ListenTCP("127.0.0.1:0", mobius.FactoryFunc(newEcho))
	if err != nil {
		log.Fatal(err)
	}
	go talk(port.Addr(), func() { r.Stop() }) // somebody to talk to; without it the server runs on
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: hello
}

func talk(to net.Addr, done func()) {
	defer done()
	c, err := net.Dial(to.Network(), to.String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(c, "hello")
	answer, _ := bufio.NewReader(c).ReadString('\n')
	fmt.Print(answer)
}
