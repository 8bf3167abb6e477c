package endpoint_test

import (
	"context"
	"fmt"

	"mobius"
	"mobius/endpoint"
)

// A child process is spoken to as any other peer.
func ExampleProcessClient() {
	r, err := mobius.New(mobius.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ran := make(chan error)
	go func() { ran <- r.Run(context.Background()) }()

	c := endpoint.ProcessClient{Reactor: r}
	c.Command.Path, c.Command.Args = "/bin/sh", []string{"sh", "-c", "read name; echo hello, $name"}
	h := &greeter{hearer{done: make(chan struct{})}}
	if _, err := endpoint.ConnectProtocol(context.Background(), c, h).Wait(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	<-h.done
	fmt.Printf("%s", h.heard)

	r.Stop()
	fmt.Println(<-ran)
	// Output:
	// hello, child
	// <nil>
}

// A greeter says its name, and keeps what it hears.
type greeter struct{ hearer }

func (*greeter) ConnectionMade(t mobius.Transport) {
	t.Write([]byte("child\n"))
	t.LoseWriteConnection()
}
