package proxy_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"strings"
	"time"

	"mobius"
	"mobius/proactor"
	"mobius/proxy"
)

// A proxy for datagrams in front of one upstream, which forgets a client that
// has been silent for a while.
func ExampleDatagrams() {
	upstream, err := net.ListenPacket("udp", "127.0.0.1:0") // somebody's server
	if err != nil {
		log.Fatal(err)
	}
	defer upstream.Close()
	go shoutPackets(upstream)

	r, err := mobius.New(mobius.Options{})
	if err != nil {
		log.Fatal(err)
	}
	route, err := proxy.NewRoundRobin(proactor.FromNetAddr(upstream.LocalAddr()))
	if err != nil {
		log.Fatal(err)
	}
	d, err := proxy.NewDatagrams(r.Loops(), proxy.DatagramOptions{
		Route:       route,
		IdleTimeout: 50 * time.Millisecond,
		Report: proxy.FlowReporterFunc(func(r *proxy.FlowReport) {
			fmt.Println(r.Reason, r.Sent.Datagrams, "sent,", r.Received.Datagrams, "received")
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	local, _ := proactor.ParseAddress("udp", "127.0.0.1:0")
	if err := d.Listen(local); err != nil {
		log.Fatal(err)
	}
	go func() {
		defer r.Stop()
		fmt.Println(askPacket(d.Addrs()[0], "hello"))
		d.Shutdown(context.Background())
	}()
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Unordered output:
	// HELLO
	// idle 1 sent, 1 received
}

// shoutPackets answers each datagram in capitals.
func shoutPackets(c net.PacketConn) {
	for p := make([]byte, 1500); ; {
		n, from, err := c.ReadFrom(p)
		if err != nil {
			return
		}
		c.WriteTo([]byte(strings.ToUpper(string(p[:n]))), from)
	}
}

func askPacket(at net.Addr, request string) string {
	c, err := net.Dial("udp", at.String())
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.Write([]byte(request))
	p := make([]byte, 1500)
	n, _ := c.Read(p)
	return string(p[:n])
}
