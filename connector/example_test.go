package connector_test

import (
	"fmt"
	"net/netip"
	"time"

	"mobius/connector"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/transport"
)

// greeter is a protocol of both sides: it says who it is, and closes once it
// has heard that of the other.
type greeter struct {
	name string
	t    transport.Transport
	done func()
}

func (g *greeter) ConnectionMade(t transport.Transport) {
	g.t = t
	t.Write([]byte("I am the " + g.name))
}

func (g *greeter) DataReceived(p []byte) {
	fmt.Printf("%s hears: %s\n", g.name, p)
	g.t.LoseConnection()
}

func (g *greeter) ConnectionLost(error) { g.done() }

// A client that looks for its server until there is one.
func Example() {
	backend, err := sim.New(sim.Options{Faults: sim.NoFaults}).Open()
	if err != nil {
		fmt.Println(err)
		return
	}
	l := loop.New(backend, loop.Options{})
	addr := proactor.IPAddress(proactor.TCP, netip.MustParseAddr("127.0.0.1"), 7)
	peer := func(name string, done func()) connector.Factory {
		return connector.FactoryFunc(func(proactor.Address) transport.Protocol { return &greeter{name: name, done: done} })
	}

	var port *connector.Port
	client := &connector.Reconnecting{Jitter: -1}
	client.Factory = peer("client", func() { client.StopTrying() })
	connector.Connect(l, connector.To(addr), client, connector.Options{})

	l.Start(&loop.Timer{Func: func() { // 10 s later
		fmt.Println("retries so far:", client.Retries())
		if port, err = connector.Listen([]*loop.Loop{l}, addr, peer("server", func() {
			port.Drain().Then(func(struct{}, error) { l.Stop() })
		}), connector.ListenOptions{}); err != nil {
			fmt.Println(err)
			l.Stop()
		}
	}}, 10*time.Second)

	fmt.Println(l.Run())
	// Unordered output:
	// retries so far: 4
	// client hears: I am the server
	// server hears: I am the client
	// <nil>
}
