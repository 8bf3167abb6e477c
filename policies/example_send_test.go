package policies_test

import (
	"fmt"

	"mobius"
	"mobius/fake"
	"mobius/policies"
)

// A proxy says to its upstream whose connection it passes on, before anything
// else is written.
func ExampleSendProxy() {
	client, _ := mobius.ParseAddress("tcp", "192.0.2.1:56284")
	server, _ := mobius.ParseAddress("tcp", "198.51.100.2:443")
	send, err := policies.SendProxy(policies.NewProxyHeader(1, client, server))
	if err != nil {
		fmt.Println(err)
		return
	}
	t := on(policies.Wrap(echoes(), send))
	t.Receive([]byte("GET /"))
	fmt.Printf("%q\n", t.Written())
	// Output: "PROXY TCP4 192.0.2.1 198.51.100.2 56284 443\r\nGET /"
}

// Where version 1 has no word for the addresses, the header says that they are
// unknown.
func ExampleNewProxyHeader() {
	from, _ := mobius.ParseAddress("unix", "/run/client")
	to, _ := mobius.ParseAddress("unix", "/run/server")
	for version := range 2 {
		send, err := policies.SendProxy(policies.NewProxyHeader(byte(version+1), from, to))
		if err != nil {
			fmt.Println(err)
			return
		}
		t := fake.NewTransport(nil)
		t.Start(policies.Wrap(echoes(), send).BuildProtocol(t.Remote))
		fmt.Printf("%.12q and %d bytes\n", t.Written(), len(t.Written()))
	}
	// Output:
	// "PROXY UNKNOW" and 15 bytes
	// "\r\n\r\n\x00\r\nQUIT\n" and 232 bytes
}
