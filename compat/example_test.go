package compat_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"

	gnet "mobius/compat"
)

// echoServer is written as for gnet, but for the import.
type echoServer struct {
	gnet.BuiltinEventEngine
	ready chan gnet.Engine
}

func (s *echoServer) OnBoot(eng gnet.Engine) gnet.Action {
	s.ready <- eng
	return gnet.None
}

func (s *echoServer) OnTraffic(c gnet.Conn) gnet.Action {
	buf, _ := c.Next(-1)
	c.Write(buf)
	return gnet.None
}

func Example() {
	s := &echoServer{ready: make(chan gnet.Engine, 1)}
	ran := make(chan error, 1)
	go func() { ran <- gnet.Run(s, "tcp://127.0.0.1:0", gnet.WithMulticore(true), gnet.WithReusePort(true)) }()
	eng := <-s.ready

	c, err := net.Dial("tcp", eng.Addr(0).String())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprintln(c, "hello")
	line, _ := bufio.NewReader(c).ReadString('\n')
	fmt.Print(line)
	c.Close()
	fmt.Println(eng.Stop(context.Background()), <-ran)
	// Output:
	// hello
	// <nil> <nil>
}

// httpServer answers each request that has no body.
type httpServer struct {
	gnet.BuiltinEventEngine
	ready chan gnet.Engine
}

func (s *httpServer) OnBoot(eng gnet.Engine) gnet.Action {
	s.ready <- eng
	return gnet.None
}

func (s *httpServer) OnTraffic(c gnet.Conn) gnet.Action {
	for {
		in, _ := c.Peek(-1)
		head := bytes.Index(in, []byte("\r\n\r\n"))
		if head < 0 {
			return gnet.None // the rest is to come
		}
		c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"))
		c.Discard(head + 4)
	}
}

// A server of HTTP that knows as much of it as it needs.
func ExampleRun() {
	s := &httpServer{ready: make(chan gnet.Engine, 1)}
	go gnet.Run(s, "tcp://127.0.0.1:0")
	eng := <-s.ready

	answer, err := http.Get("http://" + eng.Addr(0).String())
	if err != nil {
		fmt.Println(err)
		return
	}
	body, _ := bufio.NewReader(answer.Body).ReadString('\n')
	answer.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	fmt.Print(answer.Status, " ", body)
	eng.Stop(context.Background())
	// Output: 200 OK hello
}

// printer prints what it gets, and says when.
type printer struct {
	gnet.BuiltinEventEngine
	done chan struct{}
}

func (p *printer) OnTraffic(c gnet.Conn) gnet.Action {
	line, _ := c.Next(-1)
	fmt.Printf("%s to %v\n", line, c.Context())
	close(p.done)
	return gnet.Close
}

func ExampleClient() {
	s := &echoServer{ready: make(chan gnet.Engine, 1)}
	go gnet.Run(s, "udp://127.0.0.1:0")
	eng := <-s.ready

	p := &printer{done: make(chan struct{})}
	client, err := gnet.NewClient(p)
	if err != nil {
		fmt.Println(err)
		return
	}
	client.Start()
	c, err := client.DialContext("udp", eng.Addr(0).String(), "the first")
	if err != nil {
		fmt.Println(err)
		return
	}
	c.AsyncWrite([]byte("hello"), nil)
	<-p.done
	client.Stop()
	eng.Stop(context.Background())
	// Output: hello to the first
}
