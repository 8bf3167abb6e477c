package mobius

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

// udpEcho answers each datagram with itself.
type udpEcho struct{ port *DatagramPort }

func (e *udpEcho) StartProtocol(p *DatagramPort)              { e.port = p }
func (e *udpEcho) DatagramReceived(data []byte, from Address) { _ = e.port.WriteTo(data, from) }
func (e *udpEcho) StopProtocol(error)                         {}

// A collector keeps what its port receives.
type collector struct {
	udpEcho
	got chan string
}

func (c *collector) DatagramReceived(data []byte, _ Address) { c.got <- string(data) }

func TestDatagramsOfTheReactor(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name})
		port, err := r.ListenUDP("127.0.0.1:0", &udpEcho{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("udp", port.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		buf := make([]byte, 10)
		if n, err := c.Read(buf); string(buf[:n]) != "hello" {
			t.Errorf("the answer is %q, %v", buf[:n], err)
		}
		if _, err := r.ListenUDP(port.LocalAddr().String(), &udpEcho{}); err == nil {
			t.Error("a second port at one address")
		}
		if _, err := r.ListenUDP("example.org:1", &udpEcho{}); err == nil {
			t.Error("a name is no address to listen at")
		}
	})
}

func TestUnixDatagramsOfTheReactor(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name})
		dir := t.TempDir()
		server := filepath.Join(dir, "server")
		if _, err := r.ListenUNIXDatagram(server, &udpEcho{}); err != nil {
			t.Fatal(err)
		}
		in := &collector{got: make(chan string, 1)}
		port, connected, err := r.ConnectUNIXDatagram(server, filepath.Join(dir, "client"), in)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connected.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.Call(func() { _ = port.Write([]byte("hello")) }); err != nil {
			t.Fatal(err)
		}
		if got := wait(t, in.got); got != "hello" {
			t.Errorf("the answer is %q", got)
		}
		_, connected, err = r.ConnectUNIXDatagram(filepath.Join(dir, "nobody"), "", &collector{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connected.Wait(t.Context()); err == nil {
			t.Error("connected to a socket that is not there")
		}
	})
}

// A group's member receives what is sent to the group, its own datagrams too.
func TestMulticastOfTheReactor(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name})
		in := &collector{got: make(chan string, 1)}
		port, err := r.ListenMulticast("0.0.0.0:0", in, true)
		if err != nil {
			t.Fatal(err)
		}
		joined := make(chan error, 1)
		err = r.Call(func() {
			group, err := ParseAddress("udp", "224.0.0.251:1")
			if err == nil {
				err = port.Join(Membership{Group: group.IP(), Interface: "lo"})
			}
			if err == nil {
				err = port.SetOptions(&SocketOptions{MulticastInterface: "lo"})
			}
			if err == nil {
				group, err = ParseAddress("udp", net.JoinHostPort("224.0.0.251", portOf(port)))
			}
			if err == nil {
				err = port.WriteTo([]byte("all"), group)
			}
			joined <- err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := wait(t, joined); err != nil {
			t.Fatal(err)
		}
		if got := wait(t, in.got); got != "all" {
			t.Errorf("received %q", got)
		}
	})
}

func portOf(p *DatagramPort) string {
	_, port, _ := net.SplitHostPort(p.LocalAddr().String())
	return port
}
