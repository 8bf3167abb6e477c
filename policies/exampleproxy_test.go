package policies_test

import (
	"context"
	"fmt"
	"net/netip"

	"mobius"
	"mobius/policies"
)

// whoIsIt is a server's protocol: it tells who is connected, and closes.
type whoIsIt struct{}

func (whoIsIt) ConnectionMade(t mobius.Transport) {
	fmt.Printf("from %v to %v\n", t.RemoteAddr(), t.LocalAddr())
	if p, ok := mobius.As[policies.Proxied](t); ok {
		_, proxy := p.SocketAddrs()
		fmt.Printf("by a proxy at %v\n", proxy.IP())
	}
	t.LoseConnection()
}
func (whoIsIt) DataReceived([]byte)  {}
func (whoIsIt) ConnectionLost(error) {}

// ended is a client's protocol that waits for the end.
type ended chan error

func (ended) ConnectionMade(mobius.Transport) {}
func (ended) DataReceived([]byte)             {}
func (c ended) ConnectionLost(err error)      { c <- err }

// A server that stands behind proxies knows whose its connections are; and a
// proxy says so.
func ExampleProxyProtocol() {
	r, err := mobius.New(mobius.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ran := make(chan error)
	go func() { ran <- r.Run(context.Background()) }()

	port, err := r.ListenTCP("127.0.0.1:0", &policies.ProxyProtocol{
		Factory: mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return whoIsIt{} }),
		Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	source, _ := mobius.ParseAddress("tcp", "192.0.2.1:56284")
	dest, _ := mobius.ParseAddress("tcp", "198.51.100.2:443")
	send, err := policies.SendProxy(policies.NewProxyHeader(2, source, dest))
	if err != nil {
		fmt.Println(err)
		return
	}
	end := make(ended, 1)
	client := mobius.Client{Factory: mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return end })}
	if _, err := r.ConnectTCP(port.Addr().String(), policies.WrapClient(client, send)); err != nil {
		fmt.Println(err)
		return
	}
	<-end

	r.Stop()
	fmt.Println(<-ran)
	// Output:
	// from 192.0.2.1:56284 to 198.51.100.2:443
	// by a proxy at 127.0.0.1
	// <nil>
}
