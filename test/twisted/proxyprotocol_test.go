package twisted

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"mobius/connector"
	"mobius/policies"
	"mobius/proactor"
	"mobius/transport"
)

// A gate is a port that expects headers of the PROXY protocol.
type gate struct {
	*policies.ProxyProtocol
	s       *scene
	port    *connector.Port
	refused []error
	from    []proactor.Address
}

// gate listens for f's protocols.
func (s *scene) gate(f connector.Factory) *gate {
	s.Helper()
	g := &gate{s: s}
	g.ProxyProtocol = &policies.ProxyProtocol{Factory: f, Timeout: -1}
	g.Refused = func(peer proactor.Address, err error) {
		g.from = append(g.from, peer)
		g.refused = append(g.refused, err)
	}
	g.port = s.listen(g.ProxyProtocol)
	return g
}

// dial connects a proxy, which says nothing yet.
func (g *gate) dial() *talker {
	g.s.Helper()
	f := g.s.silent("proxy")
	g.s.connect(g.port.Addr(), f)
	g.s.Until("the proxy is connected", func() bool { return len(f.made) == 1 && f.made[0].t != nil })
	return f.made[0]
}

// say connects a proxy that says text.
func (g *gate) say(text string) *talker {
	g.s.Helper()
	p := g.dial()
	p.write(text)
	return p
}

// refuses waits until a proxy was turned away, and checks the reason, and that
// there is no protocol.
func (g *gate) refuses(p *talker, what string, server *plant, want error) {
	g.s.Helper()
	n := len(server.made)
	g.s.Until("the proxy is turned away: "+what, func() bool { return p.err != nil && len(g.refused) > 0 })
	if len(g.refused) != 1 || !errors.Is(g.refused[0], want) || len(server.made) != n {
		g.s.Errorf("%q: refused %q, want %v; %d protocols", what, g.refused, want, len(server.made))
	}
	if g.s.wire != unix && g.from[0] != p.t.LocalAddr() {
		g.s.Errorf("%q: refused %v, want %v", what, g.from[0], p.t.LocalAddr())
	}
	g.refused, g.from = nil, nil
}

// serves waits for a protocol, and checks its addresses.
func (g *gate) serves(server *plant, what, peer, host string) *talker {
	g.s.Helper()
	g.s.Until("the header was read: "+what, func() bool { return len(server.made) == 1 && server.made[0].t != nil })
	p := server.made[0]
	if got := p.t.RemoteAddr(); got.String() != peer || server.peers[0] != got {
		g.s.Errorf("%q: the peer is %v, and the factory's %v; want %s", what, got, server.peers[0], peer)
	}
	if got := p.t.LocalAddr().String(); got != host {
		g.s.Errorf("%q: the host is %v, want %s", what, got, host)
	}
	server.made, server.peers = nil, nil
	return p
}

// end closes what is left, and checks that nothing is.
func (g *gate) end(proxies ...*talker) {
	g.s.Helper()
	for _, p := range proxies {
		p.t.LoseConnection()
	}
	g.s.stop(g.port)
	g.s.idle()
}

// header2 returns a header of version 2.
func header2(command, family byte, block string) string {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20|command, family)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(block)))) + block
}

// named returns a name as it stands in a header of version 2.
func named(path string) string { return path + strings.Repeat("\x00", 108-len(path)) }

const (
	header1 = "PROXY TCP4 192.0.2.1 198.51.100.2 56284 443\r\n"
	inet    = "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdb\xdc\x01\xbb" // the same
	inet6   = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdb\xdc\x01\xbb"
	from, to = "192.0.2.1:56284", "198.51.100.2:443"
)

func TestCase405NoHeader(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server := s.silent("server")
		g := s.gate(server)
		for _, c := range []struct {
			first, then string
			want        error
		}{
			{"GET / HTTP/1.1\r\n", "", proxyproto.ErrNoProxyProtocol},
			{"NOTPROXY", "", proxyproto.ErrNoProxyProtocol},
			{"PROXY NONSENSE\r\n", "", proxyproto.ErrCantReadAddressFamilyAndProtocol},
			{"PROXY TCP4 192.0.2.1", " nonsense\r\n", proxyproto.ErrCantReadAddressFamilyAndProtocol},
			{"PROXY TCP4 192.0.2.1 ", strings.Repeat("1", 200), proxyproto.ErrVersion1HeaderTooLong},
			{"\r\n\r\n\x00\r\n", "QUITE", proxyproto.ErrNoProxyProtocol},
			{header2(1, 0x11, inet)[:14], "\xff\xff", proxyproto.ErrInvalidLength},
		} {
			p := g.say(c.first)
			if c.then != "" {
				s.turns(3)
				p.write(c.then)
			}
			g.refuses(p, c.first+c.then, server, c.want)
		}
		g.end()
		if g.Refusals() != 7 {
			s.Errorf("%d refusals are counted, want 7", g.Refusals())
		}
	})
}

func TestCase407Version1(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.silent("server")
		g := s.gate(server)
		a, b := g.say(header1), ""
		g.serves(server, header1, from, to)
		b = "PROXY TCP6 2001:db8::1 2001:db8::2 56284 443\r\n"
		c := g.say(b)
		g.serves(server, b, "[2001:db8::1]:56284", "[2001:db8::2]:443")
		g.end(a, c)
	})
}

func TestCase408Version2(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.silent("server")
		g := s.gate(server)
		var proxies []*talker
		for header, want := range map[string][2]string{
			header2(1, 0x11, inet):                              {from, to},
			header2(1, 0x21, inet6):                             {"[2001:db8::1]:56284", "[2001:db8::2]:443"},
			header2(1, 0x31, named("/run/a")+named("/run/b")):   {"/run/a", "/run/b"},
			header2(1, 0x31, named("\x00name")+named("/run/b")): {"@name", "/run/b"},
			header2(1, 0x12, inet+"\x02\x00\x0bexample.com"):    {from, to},
		} {
			proxies = append(proxies, g.say(header))
			p := g.serves(server, header, want[0], want[1])
			about, ok := transport.As[policies.Proxied](p.t)
			if !ok {
				s.Fatal("the transport is no Proxied")
			}
			last := proxies[len(proxies)-1]
			if local, remote := about.SocketAddrs(); local != last.t.RemoteAddr() || s.wire != unix && remote != last.t.LocalAddr() {
				s.Errorf("the connection's own addresses are %v and %v", local, remote)
			}
			tlvs, err := about.ProxyHeader().TLVs()
			if is := len(tlvs) == 1 && string(tlvs[0].Value) == "example.com"; err != nil || is != strings.HasSuffix(header, "com") {
				s.Errorf("%q: TLVs %v, %v", header, tlvs, err)
			}
		}
		g.end(proxies...)
	})
}

func TestCase409WhatFollowsTheHeader(t *testing.T) {
	eachHostile(t, func(s *scene) {
		for _, header := range []string{header1, header2(1, 0x11, inet)} {
			server := s.silent("server")
			g := s.gate(server)
			p := g.say(header + "one ")
			p.write("two ")
			q := g.serves(server, header, from, to)
			q.has(8)
			p.write(header1) // is data now
			q.has(8 + len(header1))
			if got := string(q.got); got != "one two "+header1 {
				s.Errorf("%q: the server got %q", header, got)
			}
			g.end(p)
		}
	})
}

// What came with the header waits for a protocol that pauses when it begins,
// and comes before what follows.
func TestCase409PausedWhenItBegins(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server := s.silent("server")
		server.talker.onMade = func(p *talker) { p.t.PauseReading() }
		g := s.gate(server)
		p := g.say(header1 + "one ")
		q := g.serves(server, header1, from, to)
		p.write("two")
		s.turns(10)
		if len(q.got) > 0 {
			s.Errorf("%q came during the pause", q.got)
		}
		p.t.LoseWriteConnection()
		q.t.ResumeReading()
		if len(q.got) > 0 {
			s.Error("DataReceived inside ResumeReading")
		}
		s.Until("the server's end", func() bool { return q.err != nil })
		if string(q.got) != "one two" || kindOf(q.err) != "done" || !errors.Is(q.err, io.EOF) {
			s.Errorf("the server got %q, and then %v", q.got, q.err)
		}
		g.end()
	})
}

// A protocol that gives the connection away, or ends it, gets nothing more of
// what came with the header.
func TestCase409ClosedWhenItBegins(t *testing.T) {
	each(t, func(s *scene) {
		for _, end := range []func(transport.Transport){
			transport.Transport.LoseConnection, transport.Transport.AbortConnection,
			func(t transport.Transport) { t.CloseWithError(errors.New("no")) },
		} {
			server := s.silent("server")
			server.talker.onMade = func(p *talker) { end(p.t) }
			g := s.gate(server)
			p := g.say(header1 + "one")
			q := g.serves(server, header1, from, to)
			s.bothLost(p, q)
			if len(q.got) > 0 {
				s.Errorf("%q came after the end", q.got)
			}
			g.end()
		}
		var unread []byte
		var h proactor.Handle
		server := s.silent("server")
		server.talker.onMade = func(p *talker) {
			if err := p.t.Detach(func(got proactor.Handle, rest []byte, err error) { h, unread = got, rest }); err != nil {
				s.Error(err)
			}
		}
		g := s.gate(server)
		p := g.say(header1 + "one")
		s.Until("detached", func() bool { return h != 0 })
		if string(unread) != "one" || len(server.made[0].got) > 0 {
			s.Errorf("Detach gave %q, and DataReceived %q", unread, server.made[0].got)
		}
		if err := s.l.Sockets().CloseFD(h); err != nil {
			s.Error(err)
		}
		g.end(p)
	})
}

func TestCase411WrongVersion2(t *testing.T) {
	each(t, func(s *scene) {
		server := s.silent("server")
		g := s.gate(server)
		good := header2(1, 0x11, inet)
		for at, c := range map[int]struct {
			b    byte
			want error
		}{
			4:  {1, proxyproto.ErrNoProxyProtocol},
			12: {0x31, proxyproto.ErrUnknownProxyProtocolVersion},
			13: {0x41, proxyproto.ErrUnsupportedAddressFamilyAndProtocol},
		} {
			b := []byte(good)
			b[at] = c.b
			g.refuses(g.say(string(b)), fmt.Sprintf("%x", b), server, c.want)
		}
		for header, want := range map[string]error{
			header2(2, 0x11, inet):                                proxyproto.ErrUnsupportedProtocolVersionAndCommand,
			header2(1, 0x13, inet):                                proxyproto.ErrUnsupportedAddressFamilyAndProtocol,
			header2(1, 0x11, inet[:4]):                            proxyproto.ErrInvalidLength,
			header2(1, 0x11, inet+"\x02\x00\x09name"):             proxyproto.ErrTruncatedTLV,
			header2(1, 0x11, inet+"\x03\x00\x04\x01\x02\x03\x04"): policies.ErrProxyChecksum,
		} {
			g.refuses(g.say(header), fmt.Sprintf("%x", header), server, want)
		}
		g.end()
	})
}

func TestCase412NoAddresses(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.silent("server")
		g := s.gate(server)
		for _, header := range []string{
			header2(0, 0x11, inet), header2(0, 0, ""), header2(1, 0x01, inet), header2(1, 0x10, inet), header2(1, 0, "what?"),
			"PROXY UNKNOWN\r\n", "PROXY UNKNOWN 192.0.2.1 198.51.100.2 56284 443\r\n",
		} {
			p := g.say(header)
			peer := p.t.LocalAddr().String()
			if s.wire == unix {
				peer = ""
			}
			g.serves(server, header, peer, p.t.RemoteAddr().String())
			p.t.LoseConnection()
		}
		g.end()
	})
}

// A header of version 2 may come in pieces of any size, the first less than
// its fixed part, and what comes with the last one is the protocol's.
func TestCase413X49HeaderInPieces(t *testing.T) {
	each(t, func(s *scene) {
		for _, header := range []string{header1, header2(1, 0x11, inet)} {
			server := s.silent("server")
			g := s.gate(server)
			for cut := range len(header) {
				p := g.dial()
				if cut > 0 {
					p.write(header[:cut])
					s.turns(2)
				}
				p.write(header[cut:] + "payload")
				q := g.serves(server, header[:cut], from, to)
				q.has(len("payload"))
				if string(q.got) != "payload" {
					s.Errorf("%q, cut after %d: %q", header, cut, q.got)
				}
				p.t.LoseConnection()
			}
			g.end()
		}
	})
}

// The header has its time, in all and not per piece; then it means nothing any
// more.
func TestX49HeaderDeadline(t *testing.T) {
	each(t, func(s *scene) {
		if s.Net == nil {
			return // it takes virtual time
		}
		server := s.silent("server")
		g := s.gate(server)
		g.Timeout = 0
		for _, pieces := range []string{"", header1} {
			p := g.dial()
			for i := range 10 {
				s.Pass(s.l, policies.DefaultProxyTimeout/10-time.Millisecond)
				if p.err != nil || g.Refusals() != 0 {
					s.Fatalf("refused too early: %v", g.refused)
				}
				if pieces != "" {
					p.write(pieces[i : i+1])
				}
			}
			s.Pass(s.l, policies.DefaultProxyTimeout/10)
			if len(g.refused) != 1 {
				s.Errorf("%q, byte by byte, has more time than its own", pieces)
			}
			g.refuses(p, pieces, server, os.ErrDeadlineExceeded)
			g.port.StopListening()
			s.idle()
			g = s.gate(server)
			g.Timeout = 0
		}
		p := g.say(header1)
		q := g.serves(server, header1, from, to)
		s.Pass(s.l, time.Minute)
		if p.err != nil || q.err != nil {
			s.Errorf("lost long after the header: %v", q.err)
		}
		g.end(p)
	})
}

// A connection that ends before its header is refused, and nobody else is told.
func TestX49EndBeforeTheHeader(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.silent("server")
		g := s.gate(server)
		for _, text := range []string{"", "P", header1[:len(header1)-1]} {
			p := g.dial()
			if text != "" {
				p.write(text)
			}
			p.t.LoseWriteConnection()
			g.refuses(p, text, server, io.ErrUnexpectedEOF)
			p = g.dial()
			if text != "" {
				p.write(text)
				s.turns(2)
			}
			p.t.AbortConnection()
			var want error
			if s.wire == unix {
				want = io.ErrUnexpectedEOF
			}
			s.Until("the port knows", func() bool { return len(g.refused) == 1 })
			if want != nil && !errors.Is(g.refused[0], want) || errors.Is(g.refused[0], os.ErrDeadlineExceeded) {
				s.Errorf("refused %v, want %v", g.refused, want)
			}
			g.refused, g.from = nil, nil
		}
		g.end()
	})
}

// Who is not trusted is turned away unread, or is served as if no header were
// expected; a header is then nothing but data.
func TestX49WhoIsTrusted(t *testing.T) {
	eachStream(t, func(s *scene) {
		server, others := s.silent("server"), s.silent("others")
		g := s.gate(server)
		g.Trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		g.refuses(g.dial(), "nothing", server, policies.ErrUntrusted)
		g.Untrusted = others
		p := g.say(header1)
		s.Until("it is data", func() bool { return len(others.made) == 1 && len(others.made[0].got) == len(header1) })
		if q := others.made[0]; s.wire != unix && q.t.RemoteAddr() != p.t.LocalAddr() || string(q.got) != header1 {
			s.Errorf("the peer is %v, and sent %q", q.t.RemoteAddr(), q.got)
		}
		p.t.LoseConnection()
		g.TrustUnix = true
		g.Trusted = append(g.Trusted, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
		p = g.say(header1)
		g.serves(server, header1, from, to)
		g.end(p)
	})
}
