package policies

import (
	"slices"

	"github.com/pires/go-proxyproto"

	"mobius"
	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// A proxyFront is the transport as the protocol of a proxied has it.
type proxyFront struct {
	mobius.Transport
	c      *proxied
	header proxyHeader
}

// Unwrap returns the transport below, for mobius.As.
func (f *proxyFront) Unwrap() any { return f.Transport }

// LocalAddr returns the announced destination.
func (f *proxyFront) LocalAddr() mobius.Address {
	if f.header.dest.IsValid() {
		return f.header.dest
	}
	return f.Transport.LocalAddr()
}

// RemoteAddr returns the announced source.
func (f *proxyFront) RemoteAddr() mobius.Address {
	if f.header.source.IsValid() {
		return f.header.source
	}
	return f.Transport.RemoteAddr()
}

// ProxyHeader implements [Proxied].
func (f *proxyFront) ProxyHeader() *proxyproto.Header { return f.header.header() }

// SocketAddrs implements [Proxied].
func (f *proxyFront) SocketAddrs() (local, remote mobius.Address) {
	return f.Transport.LocalAddr(), f.Transport.RemoteAddr()
}

// PauseReading stops what came behind the header, too.
func (f *proxyFront) PauseReading() {
	f.c.paused, f.c.held = true, true
	f.Transport.PauseReading()
}

// ResumeReading lets what came behind the header go first.
func (f *proxyFront) ResumeReading() {
	f.c.paused = false
	if len(f.c.rest) > 0 {
		f.Loop().AtTurnEnd(&f.c.flush)
		return
	}
	f.c.held = false
	f.Transport.ResumeReading()
}

// LoseConnection drops what came behind the header.
func (f *proxyFront) LoseConnection() { f.CloseWithError(nil) }

// CloseWithError drops what came behind the header.
func (f *proxyFront) CloseWithError(err error) {
	f.c.state, f.c.rest = over, nil
	f.Transport.CloseWithError(err)
}

// AbortConnection drops what came behind the header.
func (f *proxyFront) AbortConnection() {
	f.c.state, f.c.rest = over, nil
	f.Transport.AbortConnection()
}

// Detach hands over what came behind the header first.
func (f *proxyFront) Detach(done func(h proactor.Handle, unread []byte, err error)) error {
	rest := slices.Clone(f.c.rest)
	err := f.Transport.Detach(func(h proactor.Handle, unread []byte, err error) {
		if err == nil && len(rest) > 0 {
			unread = append(rest, unread...)
		}
		done(h, unread, err)
	})
	if err == nil {
		f.c.rest = nil
	}
	return err
}

// Upgrade passes on; see [transport.Upgrader]. The layer sees the announced
// addresses, and gets what came behind the header.
func (f *proxyFront) Upgrade(over mobius.Transport, p mobius.Protocol) (transport.Upgraded, error) {
	u, ok := mobius.As[transport.Upgrader](f.Transport)
	if !ok {
		return transport.Upgraded{}, transport.ErrNotWritable
	}
	var l *leftover
	if len(f.c.rest) > 0 {
		l = &leftover{Protocol: p, rest: slices.Clone(f.c.rest), t: f.Transport}
		p = l
	}
	up, err := u.Upgrade(over, p)
	if err != nil {
		return up, err
	}
	up.Below = &proxyBelow{up.Below, f}
	if l != nil {
		f.c.rest = nil
		l.flush.Owner = l
		f.Loop().AtTurnEnd(&l.flush)
	}
	return up, nil
}

// A proxyBelow is what Upgrade gives a layer: the transport below with the
// announced addresses.
type proxyBelow struct {
	mobius.Transport
	f *proxyFront
}

// LocalAddr returns the announced destination.
func (b *proxyBelow) LocalAddr() mobius.Address { return b.f.LocalAddr() }

// RemoteAddr returns the announced source.
func (b *proxyBelow) RemoteAddr() mobius.Address { return b.f.RemoteAddr() }

// Queued returns how many bytes wait to be taken by the kernel.
func (b *proxyBelow) Queued() int { return b.queuer().Queued() }

// Room returns how many bytes a Write takes now.
func (b *proxyBelow) Room() int { return b.queuer().Room() }

func (b *proxyBelow) queuer() transport.Queuer { return b.Transport.(transport.Queuer) } // Upgraded says so

// FlushSoon queues the transport for the end of the turn.
func (b *proxyBelow) FlushSoon() {
	if s, ok := b.Transport.(transport.FlushSooner); ok {
		s.FlushSoon()
	}
}

// TellDrained has ResumeWriting called once the queue is short.
func (b *proxyBelow) TellDrained() bool {
	d, ok := b.Transport.(transport.DrainTeller)
	return ok && d.TellDrained()
}

// EndInput makes LoseConnection close without waiting for the peer.
func (b *proxyBelow) EndInput() {
	if e, ok := b.Transport.(transport.InputEnder); ok {
		e.EndInput()
	}
}

// A leftover gives a layer what came behind the header before what comes next.
type leftover struct {
	mobius.Protocol
	rest  []byte
	t     mobius.Transport
	flush loop.Flush
}

// Unwrap returns the layer, for mobius.As.
func (l *leftover) Unwrap() any { return l.Protocol }

// DataReceived passes p on.
func (l *leftover) DataReceived(p []byte) {
	l.deliver()
	l.Protocol.DataReceived(p)
}

// ConnectionLost passes err on.
func (l *leftover) ConnectionLost(err error) {
	l.rest = nil
	l.Protocol.ConnectionLost(err)
}

// Flush delivers what nothing has come after. A panic is the connection's end.
func (l *leftover) Flush() {
	sound := false
	defer func() {
		if !sound {
			l.t.AbortConnection()
		}
	}()
	l.deliver()
	sound = true
}

func (l *leftover) deliver() {
	if p := l.rest; len(p) > 0 {
		l.rest = nil
		l.Protocol.DataReceived(p)
	}
}

var (
	_ Proxied               = (*proxyFront)(nil)
	_ transport.Upgrader    = (*proxyFront)(nil)
	_ transport.Queuer      = (*proxyBelow)(nil)
	_ transport.FlushSooner = (*proxyBelow)(nil)
	_ transport.DrainTeller = (*proxyBelow)(nil)
	_ transport.InputEnder  = (*proxyBelow)(nil)
)
