package sim

import (
	"bytes"
	"testing"
	"time"

	"mobius/proactor"
)

// A probe is an op whose owner notes what happens to it.
type probe struct {
	b *Backend
	proactor.Op
	bytes  []byte            // lent so far
	pieces int               // completions with bytes or connections
	conns  []proactor.Handle // accepted
	n      int               // N and Err of the last completion
	err    error
	lasts  int
	on     func() // called at each completion
	addr   proactor.Address
	at     time.Duration // of the latest completion
	files  []int
}

func (p *probe) Complete(op *proactor.Op) {
	p.at = p.b.Now()
	if op.New != 0 {
		p.conns = append(p.conns, op.New)
	}
	if op.More || op.Err == nil {
		p.pieces++
		p.bytes = append(p.bytes, op.Buf...)
	}
	if !op.More {
		p.lasts++
		p.n, p.err = op.N, op.Err
	}
	if p.on != nil {
		p.on()
	}
}

func (p *probe) done() bool { return !p.Active() }

// start submits an op.
func start(b *Backend, op proactor.Op) *probe {
	p := &probe{b: b, Op: op}
	p.Owner = p
	b.Submit(&p.Op)
	return p
}

func recv(b *Backend, h proactor.Handle) *probe {
	return start(b, proactor.Op{Kind: proactor.OpRecv, Handle: h})
}

func send(b *Backend, h proactor.Handle, data string) *probe {
	return start(b, proactor.Op{Kind: proactor.OpSend, Handle: h, Buf: []byte(data)})
}

// A bench is a network with hosts, for one test.
type bench struct {
	testing.TB
	net   *Net
	hosts []*Backend
}

// quiet returns a network without faults and with as many hosts as asked for.
func quiet(tb testing.TB, hosts int) *bench { return on(tb, Options{Faults: NoFaults}, hosts) }

func on(tb testing.TB, o Options, hosts int) *bench {
	w := &bench{TB: tb, net: New(o)}
	for range hosts {
		w.hosts = append(w.hosts, must(w.net.Open()))
	}
	return w
}

// until makes progress until cond holds.
func (w *bench) until(cond func() bool) {
	w.Helper()
	if err := w.net.Until(cond); err != nil {
		w.Fatal(err)
	}
}

// pass lets time pass.
func (w *bench) pass(d time.Duration) {
	w.Helper()
	end := w.net.Now() + d
	for w.net.Now() < end {
		for _, b := range w.hosts {
			if err := b.Poll(max(0, end-w.net.Now())); err != nil {
				w.Fatal(err)
			}
		}
	}
}

// stream connects a socket of the first host to one of the last.
func (w *bench) stream(at proactor.Address, o *proactor.SocketOptions) (a, b proactor.Handle) {
	w.Helper()
	client, server := w.hosts[0], w.hosts[len(w.hosts)-1]
	l, addr, err := server.Listen(at, o)
	if err != nil {
		w.Fatal(err)
	}
	accept := start(server, proactor.Op{Kind: proactor.OpAccept, Handle: l})
	if a, err = client.Stream(addr, o); err != nil {
		w.Fatal(err)
	}
	connect := start(client, proactor.Op{Kind: proactor.OpConnect, Handle: a, Addr: &addr})
	w.until(func() bool { return connect.done() && len(accept.conns) > 0 })
	if connect.err != nil {
		w.Fatal(connect.err)
	}
	server.Cancel(&accept.Op)
	w.until(accept.done)
	w.close(server, l)
	return a, accept.conns[0]
}

func (w *bench) close(b *Backend, h proactor.Handle) {
	w.Helper()
	if err := b.CloseFD(h); err != nil {
		w.Fatal(err)
	}
}

// end checks that nothing is left over.
func (w *bench) end() {
	w.Helper()
	if err := w.net.Leaks(); err != nil {
		w.Error(err)
	}
}

// sample returns bytes that are easy to tell apart.
func sample(size int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(i*31 + i>>8)
	}
	return p
}

func wantBytes(tb testing.TB, got, want []byte) {
	tb.Helper()
	if !bytes.Equal(got, want) {
		tb.Fatalf("got %d bytes, want %d, or they differ", len(got), len(want))
	}
}
