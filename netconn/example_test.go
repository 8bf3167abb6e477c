package netconn_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"

	"mobius"
	"mobius/netconn"
)

// A server and a client of package net/http on a reactor.
func Example() {
	r, err := netconn.Start(mobius.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	l, err := netconn.Listen(r.Reactor, "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello")
	})}
	go server.Serve(l)
	defer server.Close()

	dialer := &netconn.Dialer{Reactor: r.Reactor}
	transport := &http.Transport{DialContext: dialer.DialContext}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	fmt.Println(string(body), err)
	// Output: hello <nil>
}

func ExampleListenPacket() {
	r, err := netconn.Start(mobius.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	server, err := netconn.ListenPacket(r.Reactor, "udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	client, err := netconn.Dial(r.Reactor, "udp", server.LocalAddr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	client.Write([]byte("question"))
	p := make([]byte, 100)
	n, from, _ := server.ReadFrom(p)
	server.WriteTo([]byte(strings.ToUpper(string(p[:n]))), from)
	n, err = client.Read(p)
	fmt.Println(string(p[:n]), err)
	// Output: QUESTION <nil>
}
