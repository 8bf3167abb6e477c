package mixed

import (
	"crypto/tls"
	"math/rand/v2"
	"syscall"
	"testing"
	"testing/cryptotest"
	"time"

	"mobius/connector"
	"mobius/internal/invariant"
	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
	"mobius/transport/datagram"
	"mobius/transport/process"
	mtls "mobius/transport/tls"
)

// A play is one world, with everything in it.
type play struct {
	*backends.World
	rng              *rand.Rand
	servers, clients *loop.Loop
	ports            []*connector.Port
	packets          []*datagram.Port
	chats            []*chat
	boxes            []*box
	child            *child
	met              map[string]int // what the sweep has seen
}

// The configurations of TLS: both ends agree.
type secrets struct{ server, client *tls.Config }

const tlsHost = "server.test"

// Streams bring a beginning of what was sent, and all of it if they end well;
// datagrams come whole, from where they say, to whom they were sent; a child's
// pipes lose nothing; everything that has begun is told of its end, once; and at
// the end nothing is left. So it is on every network that a seed makes.
func TestSeeds(t *testing.T) {
	seeds := 1000
	if testing.Short() || invariant.Enabled {
		seeds = 200
	}
	ca := testenv.NewCA(t)
	x := secrets{&tls.Config{Certificates: []tls.Certificate{ca.Issue(tlsHost)}}, &tls.Config{RootCAs: ca.Pool(), ServerName: tlsHost}}
	met := map[string]int{}
	backends.Seeds(t, seeds, sim.Options{Spawn: cat}, func(w *backends.World, seed uint64) {
		cryptotest.SetGlobalRandom(t, seed)
		p := &play{World: w, rng: rand.New(rand.NewPCG(seed, 7)), servers: w.Loop(), clients: w.Loop(), met: met}
		p.all(x)
	})
	t.Log(met)
	for _, what := range []string{"tcp", "unix", "tls", "udp", "unixgram", "multicast", "pipes"} {
		if met[what] == 0 {
			t.Errorf("no %s came to a good end in %d runs", what, seeds)
		}
	}
}

func (p *play) all(x secrets) {
	tcp, unix := p.Address(), proactor.UnixAddress("@stream")
	for range 1 + p.rng.IntN(2) {
		p.stream("tcp", tcp, nil)
		p.stream("unix", unix, nil)
		p.stream("tls", tcp, &x)
		unix = proactor.UnixAddress("/run/stream")
	}
	udp, err := proactor.ParseAddress("udp", "127.0.0.1:0")
	if err != nil {
		p.Fatal(err)
	}
	p.datagrams("udp", udp, udp)
	p.datagrams("unixgram", proactor.UnixgramAddress("/run/a"), proactor.UnixgramAddress("/run/b"))
	p.multicast()
	p.pipes()
	p.Until("everything has ended", p.over)
	p.judge()
	p.stop()
}

// over reports whether all streams and the child have ended, and nothing that
// was sent can still be under way.
func (p *play) over() bool {
	for _, c := range p.chats {
		if !c.over() {
			return false
		}
	}
	for _, b := range p.boxes {
		if b.left > 0 {
			return false
		}
	}
	return p.child == nil || p.child.ended
}

// stop ends the ports: their futures are completed.
func (p *play) stop() {
	waiting := 0
	for _, port := range p.ports {
		waiting++
		port.StopListening().Then(func(struct{}, error) { waiting-- })
	}
	for _, port := range p.packets {
		waiting++
		port.StopListening().Then(func(struct{}, error) { waiting-- })
	}
	p.Until("the ports have stopped", func() bool { return waiting == 0 })
	for _, b := range p.boxes {
		if b.stops != 1 {
			p.Errorf("%s: StopProtocol %d times", b.what, b.stops)
		}
	}
	for _, x := range p.TakeTroubles() {
		if x.Kind != loop.AcceptFailed {
			p.Errorf("reported: %v", x)
		}
	}
}

func (p *play) judge() {
	for _, c := range p.chats {
		c.judge()
	}
	for _, b := range p.boxes {
		if b.got > 0 {
			p.met[b.what]++
		}
	}
	if p.child != nil {
		p.child.judge()
	}
}

// stream has a client talk to a server that echoes, over TLS or not.
func (p *play) stream(what string, at proactor.Address, x *secrets) {
	o := &transport.Options{HighWater: 1 << p.rng.IntN(18),
		CloseTimeout: 20 * time.Second, HalfClosedTimeout: time.Minute, IdleTimeout: time.Minute}
	build := func(p transport.Protocol, side mtls.Side) transport.Protocol {
		switch {
		case x == nil:
			return p
		case side == mtls.Server:
			return mtls.Wrap(p, x.server, side, nil)
		}
		return mtls.Wrap(p, x.client, side, nil)
	}
	port, err := connector.Listen([]*loop.Loop{p.servers}, at, connector.FactoryFunc(func(proactor.Address) transport.Protocol {
		return build(p.chat(what, true), mtls.Server)
	}), connector.ListenOptions{Transport: o})
	if err != nil {
		return // a fault
	}
	p.ports = append(p.ports, port)
	c := p.chat(what, false)
	c.out = pattern(p.rng, 1+p.rng.IntN(30_000))
	connector.Connect(p.clients, connector.To(port.Addr()), &client{p: build(c, mtls.Client), c: c}, connector.Options{Transport: o})
}

// A client is the factory of one protocol.
type client struct {
	connector.ClientBase
	p transport.Protocol
	c *chat
}

func (f *client) BuildProtocol(proactor.Address) transport.Protocol { return f.p }

func (f *client) ConnectionFailed(*connector.Connector, error) { f.c.failed = true }

// pattern returns n bytes that nothing else of a run has.
func pattern(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// cat is the child: what comes in goes out.
func cat(c *proactor.Command) (sim.Program, error) {
	if c.Path != "cat" {
		return nil, syscall.ENOENT
	}
	return func(p *sim.Process) int {
		var buf [1000]byte
		for {
			n, err := p.Read(0, buf[:])
			if err != nil {
				return 0
			}
			if _, err := p.Write(1, buf[:n]); err != nil {
				return int(syscall.SIGPIPE)
			}
		}
	}, nil
}

// pipes has a child echo through its pipes.
func (p *play) pipes() {
	c := &child{p: p, out: pattern(p.rng, 1+p.rng.IntN(100_000))}
	var command process.Command
	command.Path, command.Args = "cat", []string{"cat"}
	if _, err := process.Spawn(p.clients, c, command); err == nil {
		p.child = c
	}
}
