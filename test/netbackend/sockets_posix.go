//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package netbackend

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A stream is a connection of package net, TCP or unix.
type stream interface {
	net.Conn
	CloseWrite() error
	SyscallConn() (syscall.RawConn, error)
}

// A listening socket of package net.
type listening interface {
	net.Listener
	SetDeadline(time.Time) error
}

// An entry is what a handle stands for.
type entry struct {
	handle   proactor.Handle
	open     bool
	busy     int
	conn     stream
	listener listening
	local    proactor.Address // of a listener
	options  proactor.SocketOptions
	token    *proactor.Token
}

// add makes a handle, with b.mu held. Indexes are used again.
func (b *Backend) add(e *entry) proactor.Handle {
	e.open = true
	at := 0
	for at < len(b.entries) && b.entries[at].open {
		at++
	}
	generation := uint32(1)
	if at == len(b.entries) {
		b.entries = append(b.entries, nil)
		e.token = &proactor.Token{}
	} else {
		generation = b.entries[at].handle.Generation() + 1
		e.token = b.entries[at].token
	}
	b.entries[at] = e
	e.handle = proactor.MakeHandle(uint32(at), generation)
	e.token.Open(e.handle)
	return e.handle
}

// entry returns what h stands for, nil if it is stale, with b.mu held.
func (b *Backend) entry(h proactor.Handle) *entry {
	if int64(h.Index()) >= int64(len(b.entries)) {
		return nil
	}
	if e := b.entries[h.Index()]; e.open && e.handle == h {
		return e
	}
	return nil
}

// stream returns the connection of h, or why there is none.
func (b *Backend) stream(h proactor.Handle) (stream, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := b.entry(h); {
	case e == nil || b.closed:
		return nil, proactor.ErrClosed
	case e.conn == nil:
		return nil, syscall.ENOTCONN
	default:
		return e.conn, nil
	}
}

func (e *entry) shut() {
	if e.conn != nil {
		e.conn.Close()
	}
	if e.listener != nil {
		e.listener.Close()
	}
}

func tcpAddr(a proactor.Address) *net.TCPAddr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.IP(), a.Port()))
}

func dialText(a proactor.Address) string { return a.String() }

// Stream implements proactor.Sockets. The socket itself is made by Connect.
func (b *Backend) Stream(_ proactor.Address, o *proactor.SocketOptions) (proactor.Handle, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, proactor.ErrClosed
	}
	e := &entry{}
	if o != nil {
		e.options = *o
	}
	return b.add(e), nil
}

// Listen implements proactor.Sockets, without options.
func (b *Backend) Listen(local proactor.Address, _ *proactor.SocketOptions) (proactor.Handle, proactor.Address, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, proactor.Address{}, proactor.ErrClosed
	}
	c := net.ListenConfig{KeepAlive: -1}
	l, err := c.Listen(context.Background(), local.Network(), dialText(local))
	if err != nil {
		return 0, proactor.Address{}, plain(err)
	}
	at := proactor.FromNetAddr(l.Addr())
	return b.add(&entry{listener: l.(listening), local: at}), at, nil
}

// Packet implements proactor.Sockets.
func (b *Backend) Packet(proactor.Address, *proactor.SocketOptions) (proactor.Handle, proactor.Address, error) {
	return 0, proactor.Address{}, proactor.ErrUnsupported
}

// Names implements proactor.Sockets.
func (b *Backend) Names(h proactor.Handle) (local, remote proactor.Address, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := b.entry(h); {
	case e == nil:
		return local, remote, proactor.ErrClosed
	case e.listener != nil:
		return e.local, remote, nil
	case e.conn == nil:
		return local, remote, syscall.ENOTCONN
	default:
		return proactor.FromNetAddr(e.conn.LocalAddr()), proactor.FromNetAddr(e.conn.RemoteAddr()), nil
	}
}

// SetOptions implements proactor.Sockets: it sets nothing.
func (b *Backend) SetOptions(h proactor.Handle, _ *proactor.SocketOptions) error {
	_, err := b.stream(h)
	return err
}

// Options implements proactor.Sockets: it knows none.
func (b *Backend) Options(h proactor.Handle) (proactor.SocketOptions, error) {
	_, err := b.stream(h)
	return proactor.SocketOptions{}, err
}

// Join implements proactor.Sockets.
func (b *Backend) Join(proactor.Handle, proactor.Membership) error { return proactor.ErrUnsupported }

// Leave implements proactor.Sockets.
func (b *Backend) Leave(proactor.Handle, proactor.Membership) error { return proactor.ErrUnsupported }

// PeerCredentials implements proactor.Sockets.
func (b *Backend) PeerCredentials(proactor.Handle) (proactor.Credentials, error) {
	return proactor.Credentials{}, proactor.ErrUnsupported
}

// Signal implements proactor.Sockets.
func (b *Backend) Signal(proactor.Handle, syscall.Signal) error { return proactor.ErrUnsupported }

// ProcessID implements proactor.Sockets.
func (b *Backend) ProcessID(proactor.Handle) (int, error) { return 0, proactor.ErrUnsupported }

// Shutdown implements proactor.Sockets.
func (b *Backend) Shutdown(h proactor.Handle) error {
	c, err := b.stream(h)
	if err != nil {
		return err
	}
	return plain(c.CloseWrite())
}

// Reset implements proactor.Sockets.
func (b *Backend) Reset(h proactor.Handle) error {
	c, err := b.stream(h)
	if t, ok := c.(*net.TCPConn); ok {
		return plain(t.SetLinger(0))
	}
	return err
}

// Refuse implements proactor.Sockets.
func (b *Backend) Refuse(h proactor.Handle, _ int) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entry(h) == nil {
		return 0, proactor.ErrClosed
	}
	return 0, proactor.ErrUnsupported
}

// CloseFD implements proactor.Sockets.
func (b *Backend) CloseFD(h proactor.Handle) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entry(h)
	switch {
	case e == nil:
		return proactor.ErrClosed
	case e.busy > 0:
		return proactor.ErrBusy
	}
	b.mu.Unlock() // a guest may be inside TryWrite
	e.token.End(h)
	b.mu.Lock()
	e.open = false
	e.shut()
	return nil
}

// Number is not for sockets of package net.
func (b *Backend) Number(proactor.Handle) (int, error) { return -1, proactor.ErrUnsupported }

// Adopt implements proactor.Sockets.
func (b *Backend) Adopt(int) (proactor.Handle, error) { return 0, proactor.ErrUnsupported }

// Detach implements proactor.Sockets.
func (b *Backend) Detach(h proactor.Handle) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entry(h) == nil {
		return -1, proactor.ErrClosed
	}
	return -1, proactor.ErrUnsupported
}

// Duplicate implements proactor.Sockets.
func (b *Backend) Duplicate(int) (int, error) { return 0, proactor.ErrUnsupported }

// Discard implements proactor.Sockets.
func (b *Backend) Discard(int) error { return proactor.ErrUnsupported }

// Spawn implements proactor.Sockets.
func (b *Backend) Spawn(*proactor.Command) (proactor.Handle, []proactor.Handle, error) {
	return 0, nil, proactor.ErrUnsupported
}

// LookupHost implements proactor.Sockets.
func (b *Backend) LookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// Token implements proactor.Backend.
func (b *Backend) Token(h proactor.Handle) *proactor.Token {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entry(h); e != nil {
		return e.token
	}
	return nil
}

// WriteFrom implements proactor.Backend.
func (b *Backend) WriteFrom() int { return 4096 }

// TryWrite implements proactor.Backend.
func (b *Backend) TryWrite(h proactor.Handle, bufs [][]byte) (int, error) {
	c, err := b.stream(h)
	if err != nil {
		return 0, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, plain(err)
	}
	total := 0
	for _, p := range bufs {
		n, failed := 0, error(nil)
		err = raw.Control(func(fd uintptr) { n, failed = unix.Write(int(fd), p) })
		switch {
		case err != nil:
			return total, plain(err)
		case failed == unix.EAGAIN || failed == unix.EINTR:
			return total, nil
		case failed != nil:
			return total, failed
		}
		if total += n; n < len(p) {
			break
		}
	}
	return total, nil
}
