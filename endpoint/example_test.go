package endpoint_test

import (
	"context"
	"fmt"

	"mobius"
	"mobius/endpoint"
)

// shouter is a server's protocol: it says hello, and closes.
type shouter struct{}

func (shouter) ConnectionMade(t mobius.Transport) {
	t.Write([]byte("hello"))
	t.LoseConnection()
}
func (shouter) DataReceived([]byte)  {}
func (shouter) ConnectionLost(error) {}

// hearer is a client's protocol: it keeps what it hears.
type hearer struct {
	heard []byte
	done  chan struct{}
}

func (h *hearer) ConnectionMade(mobius.Transport) {}
func (h *hearer) DataReceived(p []byte)           { h.heard = append(h.heard, p...) }
func (h *hearer) ConnectionLost(error)            { close(h.done) }

// Where to listen and where to connect to stands in text.
func Example() {
	r, err := mobius.New(mobius.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ran := make(chan error)
	go func() { ran <- r.Run(context.Background()) }()

	server, err := endpoint.ParseServer(r, "tcp:0:interface=127.0.0.1")
	if err != nil {
		fmt.Println(err)
		return
	}
	port, err := server.Listen(mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return shouter{} })).Wait(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}

	client, err := endpoint.ParseClient(r, fmt.Sprintf("tcp:localhost:%d:timeout=10", port.Addr().Port()))
	if err != nil {
		fmt.Println(err)
		return
	}
	h := &hearer{done: make(chan struct{})}
	if _, err := endpoint.ConnectProtocol(context.Background(), client, h).Wait(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	<-h.done
	fmt.Printf("heard %s\n", h.heard)

	r.Stop()
	fmt.Println(<-ran)
	// Output:
	// heard hello
	// <nil>
}

// A service keeps a connection, and hands it to who waits for it.
func ExampleService() {
	r, err := mobius.New(mobius.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ran := make(chan error)
	go func() { ran <- r.Run(context.Background()) }()
	port, err := r.ListenTCP("127.0.0.1:0", mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return shouter{} }))
	if err != nil {
		fmt.Println(err)
		return
	}

	client := endpoint.TCPClient{Reactor: r, Host: "127.0.0.1", Port: port.Addr().Port()}
	f := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &hearer{done: make(chan struct{})} })
	s := endpoint.NewService(r.Loops()[0], client, f, endpoint.ServiceOptions{})
	s.StartService()
	p, err := s.WhenConnected(3).Wait(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	<-p.(*hearer).done // the server closes: the service will connect again, after a second
	fmt.Printf("heard %s\n", p.(*hearer).heard)
	_, err = s.StopService().Wait(context.Background())
	fmt.Println(err)

	r.Stop()
	<-ran
	// Output:
	// heard hello
	// <nil>
}
