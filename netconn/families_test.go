package netconn

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"mobius"
)

// atFamilies are the addresses to listen at: those of one family, and of both.
var atFamilies = []string{":0", "0.0.0.0:0", "[::]:0", "127.0.0.1:0", "[::1]:0", "[::ffff:127.0.0.1]:0"}

// Who listens for one family or for both, who reaches whom, and by which
// addresses, is as package net has it.
// Once "[::]:0" was for IPv6 only, "0.0.0.0:0" for IPv4 only, and "tcp4" refused [::].
func TestFamiliesLikePackageNet(t *testing.T) {
	streams, packets := streamFamilies(t, netStack()), packetFamilies(t, netStack())
	if !strings.Contains(streams, "[::1]: tcp ::1 tcp ::1") || !strings.Contains(packets, "127.0.0.1: from udp") {
		t.Fatalf("this host has not both families:\n%s\n%s", streams, packets)
	}
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		for want, got := range map[string]string{streams: streamFamilies(t, mobiusStack(r)), packets: packetFamilies(t, mobiusStack(r))} {
			if got != want {
				t.Errorf("package net:\n%s\nhere:\n%s", want, got)
			}
		}
	})
}

// streamFamilies tells how each network listens at each address and is dialed.
func streamFamilies(t *testing.T, s stack) string {
	var out strings.Builder
	for _, network := range []string{"tcp", "tcp4", "tcp6"} {
		for _, at := range atFamilies {
			l, err := s.listen(network, at)
			fmt.Fprintf(&out, "%s %s ", network, at)
			if err != nil {
				fmt.Fprintf(&out, "%v\n", err)
				continue
			}
			fmt.Fprintf(&out, "listens at %s\n", portless(l.Addr()))
			for _, host := range reachable(network, l.Addr()) {
				d := s.dialer(patienceOfFamilies, nil)
				c, err := d.DialContext(t.Context(), network, fmt.Sprintf("%s:%d", host, l.Addr().(*net.TCPAddr).Port))
				if err != nil {
					fmt.Fprintf(&out, "\t%s: %s\n", host, describe(err))
					continue
				}
				a, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&out, "\t%s: %s %s, accepted %s %s\n", host,
					portless(c.LocalAddr()), portless(c.RemoteAddr()), portless(a.LocalAddr()), portless(a.RemoteAddr()))
				_, _ = c.Close(), a.Close()
			}
			_ = l.Close()
		}
	}
	return out.String()
}

// packetFamilies is streamFamilies for datagrams: a word goes there and back.
func packetFamilies(t *testing.T, s stack) string {
	var out strings.Builder
	for _, network := range []string{"udp", "udp4", "udp6"} {
		for _, at := range atFamilies {
			l, err := s.packet(network, at)
			fmt.Fprintf(&out, "%s %s ", network, at)
			if err != nil {
				fmt.Fprintf(&out, "%v\n", err)
				continue
			}
			fmt.Fprintf(&out, "is bound to %s\n", portless(l.LocalAddr()))
			for _, host := range reachable(network, l.LocalAddr()) {
				to := fmt.Sprintf("%s:%d", host, l.LocalAddr().(*net.UDPAddr).Port)
				c, err := s.dialer(patienceOfFamilies, nil).DialContext(t.Context(), network, to)
				if err != nil {
					fmt.Fprintf(&out, "\t%s: %s\n", host, describe(err))
					continue
				}
				_, _ = c.SetDeadline(time.Now().Add(patienceOfFamilies)), l.SetDeadline(time.Now().Add(patienceOfFamilies))
				p := make([]byte, 10)
				if _, err := c.Write([]byte("there")); err != nil {
					t.Fatal(err)
				}
				n, from, err := l.ReadFrom(p)
				if err != nil || string(p[:n]) != "there" {
					t.Fatalf("%s %s: ReadFrom: %q, %v", network, at, p[:n], err)
				}
				fmt.Fprintf(&out, "\t%s: from %s (%T)\n", host, portless(from), from)
				if _, err := l.WriteTo([]byte("back"), from); err != nil {
					t.Fatalf("%s %s: WriteTo %v: %v", network, at, from, err)
				}
				if n, err := c.Read(p); err != nil || string(p[:n]) != "back" {
					t.Fatalf("%s %s: Read: %q, %v", network, at, p[:n], err)
				}
				_ = c.Close()
			}
			_ = l.Close()
		}
	}
	return out.String()
}

// patienceOfFamilies bounds each wait.
const patienceOfFamilies = 30 * time.Second

// reachable returns the hosts of this machine that reach who listens at an
// address of a network.
func reachable(network string, a net.Addr) []string {
	host, _, _ := net.SplitHostPort(a.String())
	switch ip := net.ParseIP(host); {
	case ip.To4() != nil:
		return []string{"127.0.0.1"}
	case ip.IsUnspecified() && !strings.HasSuffix(network, "6"):
		return []string{"127.0.0.1", "[::1]"}
	}
	return []string{"[::1]"}
}

// portless is an address without its port.
func portless(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return err.Error()
	}
	return a.Network() + " " + host
}
