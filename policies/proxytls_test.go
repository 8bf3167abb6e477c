package policies

import (
	"crypto/tls"
	"testing"

	"mobius"
	"mobius/connector"
	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/test/backends"
	"mobius/transport"
	mtls "mobius/transport/tls"
)

// A presser writes at the end of each turn, until it is told to pause.
type presser struct {
	sink
	flush loop.Flush
	left  int
	full  bool
}

func (p *presser) HandshakeCompleted(tls.ConnectionState) { p.t.Loop().AtTurnEnd(&p.flush) }
func (p *presser) PauseWriting()                          { p.full = true }
func (p *presser) ResumeWriting()                         { p.full = false; p.t.Loop().AtTurnEnd(&p.flush) }

func (p *presser) Flush() {
	if p.left > 0 && !p.full {
		p.left -= 30_000
		if _, err := p.t.Write(make([]byte, 30_000)); err != nil {
			panic(err)
		}
		p.t.Loop().AtTurnEnd(&p.flush)
	}
}

// A server of TLS behind a header goes on writing though the queue of its
// socket was never long: what stands between must not hide who tells.
func TestTLSBehindAHeaderGoesOnWriting(t *testing.T) {
	const size = 1_200_000
	backends.Each(t, func(w *backends.World) {
		l, ca := w.Loop(), testenv.NewCA(w)
		server, client := &presser{left: size}, &patient{}
		server.flush.Owner = server
		f := &ProxyProtocol{Timeout: -1, Factory: mobius.FactoryFunc(func(mobius.Address) mobius.Protocol {
			return mtls.Wrap(server, &tls.Config{Certificates: []tls.Certificate{ca.Issue("server.test")}}, mtls.Server, nil)
		})}
		marks := transport.Options{HighWater: 64 << 10, LowWater: 16 << 10}
		port, err := connector.Listen([]*loop.Loop{l}, w.Address(), f, connector.ListenOptions{Transport: &marks})
		if err != nil {
			w.Fatal(err)
		}
		send, err := SendProxy(NewProxyHeader(2, proxyAt, serverAt))
		if err != nil {
			w.Fatal(err)
		}
		secure := mtls.Wrap(&client.p, &tls.Config{RootCAs: ca.Pool(), ServerName: "server.test"}, mtls.Client, nil)
		connector.Connect(l, connector.To(port.Addr()), WrapClient(&secured{p: secure}, send), connector.Options{})
		w.Until("all is there", func() bool { return len(client.p.got) == size })
		client.p.t.AbortConnection()
		w.Until("the server's end", func() bool { return server.err != nil })
		port.StopListening()
	})
}

// A secured is a client whose protocol speaks TLS.
type secured struct {
	mobius.ClientBase
	p mobius.Protocol
}

func (f *secured) BuildProtocol(mobius.Address) mobius.Protocol { return f.p }

func (f *secured) ConnectionFailed(c *mobius.Connector, _ error) { _ = c.ConnectAfter(10e6) }
