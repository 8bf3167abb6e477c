package sim

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"mobius/proactor"
)

// somaxconn is the longest backlog (listen(2)).
const somaxconn = 4096

// controls returns why a socket cannot be made as o says: there is no number
// that its Control could do anything with.
func controls(o *proactor.SocketOptions) error {
	if o != nil && o.Control != nil {
		return proactor.ErrUnsupported
	}
	return nil
}

// Stream returns a stream socket that may Connect.
func (b *Backend) Stream(remote proactor.Address, o *proactor.SocketOptions) (proactor.Handle, error) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	if err := b.mayOpen(); err != nil {
		return 0, err
	}
	if err := controls(o); err != nil {
		return 0, err
	}
	s := b.net.newSocket(aStream)
	if o != nil {
		s.opt = *o
	}
	switch remote.Kind() {
	case proactor.TCP:
		s.local = proactor.IPAddress(proactor.TCP, loopbackFor(remote), 0)
	case proactor.Unix:
		s.local = proactor.UnixAddress("")
	default:
		return 0, syscall.EAFNOSUPPORT
	}
	if s.opt.Local.IsValid() {
		if s.opt.Local.Kind() != remote.Kind() {
			return 0, syscall.EAFNOSUPPORT
		}
		if err := b.net.bind(s, s.opt.Local); err != nil {
			return 0, err
		}
	}
	h, err := b.newHandle(s)
	if err != nil {
		b.net.unbind(s)
	}
	return h, err
}

// mayOpen returns the error that keeps b from opening something now.
func (b *Backend) mayOpen() error {
	if b.closed {
		return proactor.ErrClosed
	}
	if b.net.chance(NoFile) {
		return syscall.EMFILE
	}
	return nil
}

func loopbackFor(a proactor.Address) netip.Addr {
	if a.IP().Is6() {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// Listen returns a listening socket and the address it is bound to.
func (b *Backend) Listen(local proactor.Address, o *proactor.SocketOptions) (proactor.Handle, proactor.Address, error) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	if local.Kind() != proactor.TCP && local.Kind() != proactor.Unix {
		return 0, proactor.Address{}, syscall.EAFNOSUPPORT
	}
	if err := controls(o); err != nil {
		return 0, proactor.Address{}, err
	}
	s := b.net.newSocket(aListener)
	s.listen = &listener{limit: somaxconn}
	if o != nil {
		s.opt = *o
		s.opt.Local = proactor.Address{}
		s.listen.limit = min(cmp.Or(max(o.Backlog, 0), somaxconn), somaxconn)
	}
	return b.bound(s, local)
}

// bound binds s to local and gives it a handle.
func (b *Backend) bound(s *socket, local proactor.Address) (proactor.Handle, proactor.Address, error) {
	if err := b.mayOpen(); err != nil {
		return 0, proactor.Address{}, err
	}
	if err := b.net.bind(s, local); err != nil {
		return 0, proactor.Address{}, err
	}
	h, err := b.newHandle(s)
	if err != nil {
		b.net.unbind(s)
		return 0, proactor.Address{}, err
	}
	return h, s.local, nil
}

// bind gives s an address, or answers EADDRINUSE.
func (n *Net) bind(s *socket, a proactor.Address) error {
	s.local = a
	if a.IsUnix() {
		if a.Path() == "" {
			return nil
		}
		if old := n.paths[a]; old != nil && !old.closed {
			return syscall.EADDRINUSE
		}
		n.paths[a] = s
		return nil
	}
	if a.Port() == 0 {
		n.bindEphemeral(s)
		a = s.local
	}
	key := portKey{a.Kind(), a.Port()}
	for _, o := range n.ports[key] {
		if (isWildcard(a) || isWildcard(o.local) || o.local.IP() == a.IP()) && !(s.opt.ReusePort && o.opt.ReusePort) {
			return syscall.EADDRINUSE
		}
	}
	n.ports[key] = append(n.ports[key], s)
	return nil
}

// bindEphemeral gives s a port that nobody has, if it has none.
func (n *Net) bindEphemeral(s *socket) {
	for s.local.Port() == 0 {
		n.port++
		if n.port < 32768 || n.port > 60999 { // ip_local_port_range
			n.port = 32768
		}
		if len(n.ports[portKey{s.local.Kind(), n.port}]) == 0 {
			s.local = s.local.WithPort(n.port)
		}
	}
}

// unbind frees s's address.
func (n *Net) unbind(s *socket) {
	if s.local.IsUnix() {
		if n.paths[s.local] == s {
			delete(n.paths, s.local)
		}
		return
	}
	key := portKey{s.local.Kind(), s.local.Port()}
	if i := slices.Index(n.ports[key], s); i >= 0 {
		n.ports[key] = slices.Delete(n.ports[key], i, i+1)
	}
}

// Names returns a socket's own address and its peer's.
func (b *Backend) Names(h proactor.Handle) (local, remote proactor.Address, err error) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	s := b.sock(h)
	if s == nil {
		return local, remote, proactor.ErrClosed
	}
	if s.link == linked || s.kind == aPacket {
		remote = s.remote
	}
	return s.local, remote, nil
}

// Shutdown ends the writing side.
func (b *Backend) Shutdown(h proactor.Handle) error {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	s := b.sock(h)
	switch {
	case s == nil:
		return proactor.ErrClosed
	case s.kind != aStream || s.link != linked:
		return syscall.ENOTCONN
	}
	s.sendEnd()
	s.noWrite = true
	s.wakeWriter()
	return nil
}

// Reset makes the coming CloseFD abort the connection.
func (b *Backend) Reset(h proactor.Handle) error {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	s := b.sock(h)
	if s == nil {
		return proactor.ErrClosed
	}
	s.linger = s.kind == aStream && !s.local.IsUnix()
	return nil
}

// Refuse resets up to max connections that wait on a listener.
func (b *Backend) Refuse(h proactor.Handle, max int) (int, error) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	s := b.sock(h)
	switch {
	case s == nil:
		return 0, proactor.ErrClosed
	case s.listen == nil:
		return 0, syscall.EINVAL
	}
	count := min(max, len(s.listen.backlog))
	for _, c := range s.listen.backlog[:count] {
		c.abort()
	}
	s.listen.shorten(b.net, count)
	b.stats.Refused += uint64(count)
	return count, nil
}

// Token returns the write token of a stream. Any goroutine.
func (b *Backend) Token(h proactor.Handle) *proactor.Token {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	p := b.place(h)
	if p == nil {
		return nil
	}
	return &p.token
}

// WriteFrom returns what the seed has drawn, or Options say.
func (b *Backend) WriteFrom() int { return b.net.o.WriteFrom }

// TryWrite makes one write of bufs now. Any goroutine that has the token.
func (b *Backend) TryWrite(h proactor.Handle, bufs [][]byte) (int, error) {
	n := b.net
	n.mu.Lock()
	defer n.mu.Unlock()
	s := b.sock(h)
	if s == nil {
		return 0, proactor.ErrClosed
	}
	if s.writer != nil {
		panic("sim: TryWrite while a " + s.writer.Kind.String() + " writes to " + s.String())
	}
	if err := s.writeError(); err != nil {
		return 0, err
	}
	size := 0
	for _, p := range bufs {
		size += len(p)
	}
	size = max(0, min(size, s.peer.rx.room()))
	if size > 0 && n.chance(ShortSend) {
		size = n.rng.IntN(size + 1)
	}
	s.putAll(bufs, 0, size)
	s.dispatch(size)
	n.trace(uint64(s.id)<<32|1<<31, uint64(size))
	n.changed()
	return size, nil
}

// LookupHost returns the addresses of a name: from Options.Hosts, or of a
// number, or of localhost.
func (b *Backend) LookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if a := b.net.o.Hosts[host]; len(a) > 0 {
		return slices.Clone(a), nil
	}
	if host == "localhost" {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}
