package mobius_test

import (
	"context"
	"fmt"
	"log"

	"mobius"
)

// Listen and Connect take any address, and options.
func ExampleReactor_Listen() {
	r := newReactor(mobius.Options{})
	addr, err := mobius.ParseAddress("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	greet := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return greeter{} })
	port, err := r.Listen(addr, greet, mobius.ListenOptions{Socket: &mobius.SocketOptions{Backlog: 128}})
	if err != nil {
		log.Fatal(err)
	}
	f := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &hearer{r: r} })
	if _, err := r.Connect(mobius.To(port.Addr()), mobius.Client{Factory: f}, mobius.ConnectOptions{}); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// heard "hello"
	// done
}

// A datagram socket whose datagrams live for one hop.
func ExampleReactor_ListenDatagram() {
	r := newReactor(mobius.Options{})
	addr, err := mobius.ParseAddress("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server, err := r.ListenDatagram(addr, &gossip{r: r, name: "server"}, mobius.DatagramOptions{})
	if err != nil {
		log.Fatal(err)
	}
	to := server.LocalAddr()
	o := mobius.DatagramOptions{Socket: &mobius.SocketOptions{TTL: 1}}
	if _, err := r.ListenDatagram(addr, &gossip{r: r, say: "hello", to: &to}, o); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: server has heard "hello"
}

// Other goroutines talk to the reactor by Call.
func ExampleReactor_Call() {
	r := newReactor(mobius.Options{})
	go r.Call(func() {
		fmt.Println("on the loop:", r.OnLoop())
		r.Stop()
	})
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: on the loop: true
}

// What was registered can be taken back, once.
func ExampleReactor_RemoveSystemEventTrigger() {
	r := newReactor(mobius.Options{})
	id, err := r.AddSystemEventTrigger(mobius.Before, mobius.Shutdown, func() { fmt.Println("never") })
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.RemoveSystemEventTrigger(id))
	fmt.Println(r.RemoveSystemEventTrigger(id) != nil)
	r.CallWhenRunning(func() { r.Stop() })
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// <nil>
	// true
}

// A goroutine of its own waits for what takes the loop some turns.
func ExampleBlockingWaitFromThread() {
	r := newReactor(mobius.Options{})
	go func() {
		answer, err := mobius.BlockingWaitFromThread(context.Background(), r, func() *mobius.Future[int] {
			return mobius.DeferLater(r, 0, func() (int, error) { return 42, nil })
		})
		fmt.Println(answer, err)
		r.Stop()
	}()
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: 42 <nil>
}
