package proxy

import (
	"mobius/proactor"
	"mobius/transport"
)

// A listener accepts on one loop for all of the proxy's.
type listener struct {
	p       *Proxy
	w       *worker // where it accepts
	in      *transport.Listener
	addr    proactor.Address
	layer   Layer // nil for none
	own     bool  // each loop has a listener: nothing is handed round
	next    int
	stopped chan struct{}
}

// Listen makes the proxy accept connections on addr; a busy port is an error.
// It is for the first loop's goroutine, or for any before the loops run;
// Options.ReusePort wants the latter.
func (p *Proxy) Listen(addr proactor.Address) error { return p.ListenOver(addr, nil) }

// ListenOver is Listen for clients that speak over a layer, [TLSServer] for
// example. Nothing is dialed for a client before its handshake is complete.
func (p *Proxy) ListenOver(addr proactor.Address, layer Layer) error {
	o := p.o.Listener
	o.ReusePort = p.o.ReusePort && len(p.workers) > 1 && !addr.IsUnix()
	if !o.ReusePort {
		_, err := p.listen(p.workers[0], addr, &o, &listener{layer: layer})
		return err
	}
	for _, w := range p.workers {
		ln, err := p.listen(w, addr, &o, &listener{layer: layer, own: true})
		if err != nil {
			return err
		}
		addr = ln.addr // with the port that the kernel chose
	}
	return nil
}

func (p *Proxy) listen(w *worker, addr proactor.Address, o *proactor.SocketOptions, ln *listener) (*listener, error) {
	ln.p, ln.w, ln.stopped = p, w, make(chan struct{})
	in, err := transport.Listen(w.l, addr, o, ln.accepted)
	if err != nil {
		return nil, err
	}
	ln.in, ln.addr = in, in.Addr()
	p.mu.Lock()
	p.listeners = append(p.listeners, ln)
	p.mu.Unlock()
	return ln, nil
}

// url returns where the listener is, as people write it.
func (ln *listener) url() string { return urlOver(ln.addr, ln.layer) }

// stop ends accepting; stopped is closed once the port is free.
func (ln *listener) stop() {
	freed := func(struct{}, error) { close(ln.stopped) }
	stop := func() { ln.in.Stop().Then(freed) }
	if ln.w.l.Insist(stop) != nil {
		close(ln.stopped) // the loop has stopped, and the listener with it
	}
}

// accepted takes a connection, and hands it to the loop whose turn it is.
func (ln *listener) accepted(h proactor.Handle, peer proactor.Address) {
	ln.p.live.Add(1)
	w := ln.w
	if !ln.own {
		w = ln.p.workers[ln.next]
		ln.next = (ln.next + 1) % len(ln.p.workers)
	}
	if w == ln.w {
		w.serve(ln, h, peer)
		return
	}
	ln.handOver(w, h, peer)
}

// handOver moves a connection to another loop. If that has no room for it, it
// is served here.
func (ln *listener) handOver(w *worker, h proactor.Handle, peer proactor.Address) {
	fd, err := ln.w.l.Sockets().Detach(h)
	if err != nil {
		ln.w.serve(ln, h, peer)
		return
	}
	if w.l.Call(func() { w.adopt(ln, fd, peer) }) != nil {
		ln.w.adopt(ln, fd, peer)
	}
}

// adopt serves a connection that another loop has accepted. If w has no room
// for it, the loop that accepted it had, and still has, as long as it runs.
func (w *worker) adopt(ln *listener, fd int, peer proactor.Address) {
	h, err := w.l.Sockets().Adopt(fd)
	switch {
	case err == nil:
		w.serve(ln, h, peer)
	case w != ln.w && ln.w.l.Insist(func() { ln.w.adopt(ln, fd, peer) }) == nil:
	default:
		w.l.Sockets().Discard(fd)
		w.p.gone()
	}
}
