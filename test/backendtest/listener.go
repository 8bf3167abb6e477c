package backendtest

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"mobius/proactor"
)

// A listener accepts, and queues what it has accepted.
type listener struct {
	*probe
	h     proactor.Handle
	local proactor.Address
	queue []proactor.Handle
	peers []proactor.Address // as Accept told them; one for each of queue
	peer  proactor.Address   // where Accept puts it
	count int                // connections accepted
}

// freshAddress returns an address of the world's network to listen on.
func (w *world) freshAddress() proactor.Address {
	if w.network == proactor.Unix {
		return proactor.UnixAddress(filepath.Join(w.dir(), "s"))
	}
	return proactor.IPAddress(proactor.TCP, netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
}

// dir makes a directory whose name is short enough for a unix socket's path.
func (w *world) dir() string {
	dir, err := os.MkdirTemp("", "mb")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// listen starts to listen and to accept on a fresh address.
func (d *driver) listen(o *proactor.SocketOptions) *listener {
	d.w.Helper()
	l := d.bind(d.w.freshAddress(), o)
	l.submit()
	return l
}

// bind starts to listen on an address, and does not accept yet.
func (d *driver) bind(at proactor.Address, o *proactor.SocketOptions) *listener {
	d.w.Helper()
	h, local, err := d.b.Listen(at, d.w.buffers(o))
	if err != nil {
		d.w.Fatalf("Listen(%v): %v", at, err)
	}
	return d.listener(d.own(h), local)
}

// listener returns one on a listening handle. It does not accept yet.
func (d *driver) listener(h proactor.Handle, local proactor.Address) *listener {
	l := &listener{probe: d.probe(proactor.OpAccept, h), h: h, local: local}
	l.Addr = &l.peer
	l.on = func() {
		if l.Op.New == 0 {
			return
		}
		l.queue, l.peers = append(l.queue, l.Op.New), append(l.peers, l.peer)
		l.count++
	}
	return l
}

// take waits for the next connection.
func (l *listener) take() stream {
	l.d.w.Helper()
	l.d.w.until("a connection is accepted", func() bool { return len(l.queue) > 0 || !l.live })
	if len(l.queue) == 0 {
		l.d.w.Fatalf("accept ended: %v", l.err)
	}
	s := stream{l.d, l.queue[0]}
	l.queue, l.peers = l.queue[1:], l.peers[1:]
	return s
}

// stop ends the accepting and closes the listener.
func (l *listener) stop() {
	l.d.w.Helper()
	l.cancel()
	l.d.w.until("the accept ends after Cancel", l.isIdle)
	l.d.close(l.h)
}

// A dialer is a Connect.
type dialer struct {
	*probe
	stream
}

// dial starts to connect to an address.
func (d *driver) dial(to proactor.Address) *dialer {
	d.w.Helper()
	h := d.socket(to, nil)
	c := &dialer{d.probe(proactor.OpConnect, h), stream{d, h}}
	c.Addr = &to
	c.submit()
	return c
}

// least are tiny socket buffers (Linux doubles both): the smallest to send
// from, and not quite to receive into, since with a window of 2304 bytes TCP
// itself crawls from one probe to the next (tcp(7), silly window avoidance).
var least = &proactor.SocketOptions{SendBuffer: 2304, RecvBuffer: 4096}

// buffers returns o, or if it is nil what a test with hostile limits uses.
func (w *world) buffers(o *proactor.SocketOptions) *proactor.SocketOptions {
	if o == nil && w.cfg.Hostile {
		return least
	}
	return o
}

// socket returns a socket that may connect to an address.
func (d *driver) socket(to proactor.Address, o *proactor.SocketOptions) proactor.Handle {
	d.w.Helper()
	h, err := d.b.Stream(to, d.w.buffers(o))
	if err != nil {
		d.w.Fatalf("Stream(%v): %v", to, err)
	}
	return d.own(h)
}

// wait waits for the end of the Connect, which must not fail.
func (c *dialer) wait() stream {
	w := c.stream.d.w
	w.Helper()
	w.until("a connect completes", c.isIdle)
	if c.err != nil {
		w.Fatalf("connect to %v: %v", *c.Addr, c.err)
	}
	c.stream.d.forget(c.probe)
	return c.stream
}

// join connects to a listener and returns both ends.
func (w *world) join(l *listener) (client, server stream) {
	w.Helper()
	client = w.client.dial(l.local).wait()
	return client, l.take()
}

// connect returns both ends of a new connection, with no listener left.
func (w *world) connect() (client, server stream) {
	w.Helper()
	client, server, _ = w.connectWith(nil)
	return client, server
}

// connectWith is connect with options for both ends.
func (w *world) connectWith(o *proactor.SocketOptions) (client, server stream, peer proactor.Address) {
	w.Helper()
	l := w.server.listen(o)
	h := w.client.socket(l.local, o)
	c := &dialer{w.client.probe(proactor.OpConnect, h), stream{w.client, h}}
	c.Addr = &l.local
	c.submit()
	client = c.wait()
	w.until("the connection is accepted", func() bool { return len(l.queue) > 0 || !l.live })
	if len(l.peers) > 0 {
		peer = l.peers[0]
	}
	server = l.take()
	l.stop()
	w.server.probes = slices.DeleteFunc(w.server.probes, func(p *probe) bool { return p == l.probe })
	return client, server, peer
}

// each runs f once for each network, tcp and unix.
func (w *world) each(f func()) {
	for _, n := range []proactor.Network{proactor.TCP, proactor.Unix} {
		w.network = n
		f()
	}
	w.network = proactor.TCP
}
