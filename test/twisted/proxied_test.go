package twisted

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"

	"mobius/connector"
	"mobius/policies"
	"mobius/proactor"
	"mobius/transport"
)

// What the protocol can do is found when it is there, although the connection
// began without it.
func TestProxiedProtocolsHaveTheirAbilities(t *testing.T) {
	eachStream(t, func(s *scene) {
		var o *outlet
		server := s.silent("server")
		server.wrap = func(p *talker) transport.Protocol {
			o = &outlet{talker: p}
			return o
		}
		g := s.gate(policies.Wrap(policies.Wrap(server, s.noted("inner")), s.noted("outer")))
		p := g.say(header1)
		g.serves(server, header1, from, to)
		s.events = nil
		s.pacedThrough(o, p)
		o.StopConsuming()
		p.t.LoseConnection()
		s.Until("lost", func() bool { return o.err != nil })

		half := s.plant("server")
		half.wrap = func(p *talker) transport.Protocol { return &halfTalker{talker: p} }
		g.Factory = policies.Wrap(half, s.noted("outer"))
		p = g.say(header1 + "hello")
		p.t.LoseWriteConnection()
		s.await("server read lost")
		half.made[0].write("still there")
		p.has(len("still there"))
		half.made[0].t.LoseWriteConnection()
		s.Until("lost", func() bool { return half.made[0].err != nil && p.err != nil })
		if !s.has("server write lost") {
			s.Errorf("events %q", s.events)
		}

		whole := s.silent("server") // and one that knows no halves
		whole.talker.onData = func(p *talker) { p.write("reply") }
		g.Factory = whole
		p = g.say(header1 + "request")
		p.t.LoseWriteConnection()
		s.Until("both are lost", func() bool { return p.err != nil && len(whole.made) == 1 && whole.made[0].err != nil })
		if err := whole.made[0].err; string(p.got) != "reply" || kindOf(err) != "done" || !errors.Is(err, io.EOF) {
			s.Errorf("the reply is %q; the server has lost by %v", p.got, err)
		}
		g.end()
	})
}

// A factory that builds nothing for who was announced, or panics, costs the one
// connection.
func TestProxiedConnectionIsRefused(t *testing.T) {
	each(t, func(s *scene) {
		n := 0
		g := s.gate(connector.FactoryFunc(func(proactor.Address) transport.Protocol {
			if n++; n == 1 {
				panic("the first")
			}
			return nil
		}))
		for range 2 {
			p := g.say(header1)
			s.Until("it is closed", func() bool { return p.err != nil })
		}
		if n != 2 || g.Refusals() != 0 {
			s.Errorf("asked %d times; %d refusals", n, g.Refusals())
		}
		s.panics(1)
		g.end()
	})
}

// One source is who was announced.
func TestLimitPerAnnouncedPeer(t *testing.T) {
	each(t, func(s *scene) {
		server := s.silent("server")
		g := s.gate(&policies.LimitPerPeer{Factory: server, Max: 1})
		p := g.say(header1)
		g.serves(server, header1, from, to)
		again := g.say(header1)
		s.Until("the second is closed", func() bool { return again.err != nil })
		other := g.say(strings.Replace(header1, "192.0.2.1", "192.0.2.2", 1))
		g.serves(server, header1, "192.0.2.2:56284", to)
		g.end(p, other)
	})
}

// What SendProxy writes a ProxyProtocol reads, before all else.
func TestSendProxy(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.silent("server")
		g := s.gate(server)
		tcp := func(text string) proactor.Address {
			a, err := proactor.ParseAddress("tcp", text)
			if err != nil {
				s.Fatal(err)
			}
			return a
		}
		for _, version := range []byte{1, 2} {
			h := policies.NewProxyHeader(version, tcp(from), tcp(to))
			if version == 2 {
				if err := h.SetTLVs([]proxyproto.TLV{{Type: proxyproto.PP2_TYPE_CRC32C, Value: make([]byte, 4)}}); err != nil {
					s.Fatal(err)
				}
			}
			send, err := policies.SendProxy(h)
			if err != nil {
				s.Fatal(err)
			}
			client := s.silent("client")
			client.talker.onMade = func(p *talker) { p.write("hello") }
			s.connect(g.port.Addr(), policies.WrapClient(client, send))
			q := g.serves(server, "sent", from, to)
			q.has(len("hello"))
			client.made[0].t.LoseConnection()
		}
		h := &proxyproto.Header{Version: 1, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4}
		if _, err := policies.SendProxy(h); !errors.Is(err, proxyproto.ErrInvalidAddress) {
			s.Errorf("a header without addresses: %v", err)
		}
		g.end()
	})
}
