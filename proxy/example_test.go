package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strings"

	"mobius"
	"mobius/proactor"
	"mobius/proxy"
)

// A proxy in front of one upstream, which serves clients on this machine only
// and tells how each connection ended.
func Example() {
	upstream, err := net.Listen("tcp", "127.0.0.1:0") // somebody's server
	if err != nil {
		log.Fatal(err)
	}
	go shout(upstream)

	r, err := mobius.New(mobius.Options{})
	if err != nil {
		log.Fatal(err)
	}
	route, err := proxy.NewRoundRobin(proactor.FromNetAddr(upstream.Addr()))
	if err != nil {
		log.Fatal(err)
	}
	p, err := proxy.New(r.Loops(), proxy.Options{
		Route: route,
		Accept: proxy.FilterFunc(func(s *proxy.Session) error {
			if !s.Peer().IP().IsLoopback() {
				return errors.New("not from here")
			}
			return nil
		}),
		Report: proxy.ReporterFunc(func(r *proxy.Report) {
			fmt.Println(r.Reason, r.Sent, "bytes sent,", r.Received, "received")
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	local, _ := proactor.ParseAddress("tcp", "127.0.0.1:0")
	if err := p.Listen(local); err != nil {
		log.Fatal(err)
	}
	go func() {
		defer r.Stop()
		fmt.Println(ask(p.Addrs()[0], "hello"))
		p.Shutdown(context.Background())
	}()
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Unordered output:
	// HELLO
	// done 5 bytes sent, 5 received
}

// shout answers a request, which ends with the client's end, in capitals.
func shout(ln net.Listener) {
	c, err := ln.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	request, _ := io.ReadAll(c)
	io.WriteString(c, strings.ToUpper(string(request)))
}

func ask(at net.Addr, request string) string {
	c, err := net.Dial(at.Network(), at.String())
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	io.WriteString(c, request)
	c.(*net.TCPConn).CloseWrite()
	reply, _ := io.ReadAll(c)
	return string(reply)
}
