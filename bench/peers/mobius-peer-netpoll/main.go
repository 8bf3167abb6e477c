// Command mobius-peer-netpoll is an echo server on github.com/cloudwego/netpoll,
// for `mobius bench`: mobius-peer-netpoll echo|unix ADDRESS. It answers on
// descriptors 3 and 4 as mobius/bench/control says.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/cloudwego/netpoll"

	"mobius/bench/control"
)

func main() {
	control.Serve()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mobius-peer-netpoll:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 || args[0] != "echo" && args[0] != "unix" {
		return fmt.Errorf("%q, want echo|unix ADDRESS", args)
	}
	network := "tcp"
	if args[0] == "unix" {
		network = "unix"
	}
	listener, err := netpoll.CreateListener(network, args[1])
	if err != nil {
		return err
	}
	loop, err := netpoll.NewEventLoop(echo)
	if err != nil {
		return err
	}
	return loop.Serve(listener)
}

// echo sends back what there is, without copying it: what was read is released
// after it has been sent.
func echo(_ context.Context, c netpoll.Connection) error {
	r, w := c.Reader(), c.Writer()
	p, err := r.Next(r.Len())
	if err != nil {
		return err
	}
	if _, err := w.WriteBinary(p); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return r.Release()
}
