package datagram

import (
	"errors"
	"net/netip"
	"syscall"

	"mobius/proactor"
	"mobius/transport"
)

// A packet is one datagram, or a train of equal ones, on its way out.
type packet struct {
	op         proactor.Op
	to         proactor.Address
	msg        proactor.Msg
	own        []byte // memory of small ones
	port       *Port
	prev, next *packet // in the port's list of those under way; next also in that of free ones
}

// The largest UDP payloads: 65,535 less the headers that are counted in
// (RFC 768, RFC 8200).
const (
	largestIPv4 = 65507
	largestIPv6 = 65527
)

// Addresses of either family.
var (
	anyIPv4 = proactor.IPAddress(proactor.UDP, netip.IPv4Unspecified(), 0)
	anyIPv6 = proactor.IPAddress(proactor.UDP, netip.IPv6Unspecified(), 0)
)

// Write sends a copy of data as one datagram to the peer of a connected port.
//
// It never blocks and takes all or nothing: what the kernel does not take at
// once waits in a queue. The errors are *transport.ConnError, and wrap
// transport.ErrFull if the queue is; EMSGSIZE if no datagram can be so long;
// EDESTADDRREQ without a peer; net.ErrClosed once the port is stopped. An error
// that the kernel finds later is counted, and told to a [SendFailer].
func (p *Port) Write(data []byte) error { return p.send(data, proactor.Address{}, nil) }

// WriteTo is Write to any address. It must be of the socket's family, or IPv4 on
// a socket that takes both (EAFNOSUPPORT). On a connected port to must be the peer, or
// the kernel may refuse it (EISCONN).
func (p *Port) WriteTo(data []byte, to proactor.Address) error {
	if !to.IsValid() {
		return p.refuse(to, syscall.EDESTADDRREQ)
	}
	return p.send(data, to, nil)
}

// WriteMsg is WriteTo with what msg says beside it: SegmentSize cuts data into
// several datagrams (UDP_SEGMENT; of Stats.Sent and Options.Queue it is one), Info sets fields of the packet, Files travel
// along on unix sockets. msg is copied; the files may be closed at once. An
// invalid to means the peer.
func (p *Port) WriteMsg(data []byte, to proactor.Address, msg *proactor.Msg) error {
	return p.send(data, to, msg)
}

// Queued returns how many datagrams were written that the kernel has not taken.
func (p *Port) Queued() int { return p.queued }

func (p *Port) refuse(to proactor.Address, err error) error {
	return &transport.ConnError{Op: "write", Addr: to, Kind: transport.Failed, Err: err}
}

func (p *Port) send(data []byte, to proactor.Address, msg *proactor.Msg) error {
	if err := p.mayWrite(data, to, msg); err != nil {
		return p.refuse(to, err)
	}
	k := p.store.packet(p, len(data))
	k.op.Buf = append(k.op.Buf, data...)
	if to.IsValid() {
		k.to, k.op.Addr = to, &k.to
	}
	if msg != nil {
		k.msg.SegmentSize, k.msg.Info = msg.SegmentSize, msg.Info
		k.msg.Control = append(k.msg.Control[:0], msg.Control...)
		k.msg.Files = append(k.msg.Files[:0], msg.Files...)
		k.op.Msg = &k.msg
	}
	k.next = p.active
	if p.active != nil {
		p.active.prev = k
	}
	p.active = k
	p.queued++
	p.bytes += len(data)
	p.l.Submit(&k.op)
	return nil
}

// mayWrite returns why a write cannot be taken.
func (p *Port) mayWrite(data []byte, to proactor.Address, msg *proactor.Msg) error {
	if p.state != started {
		return transport.ErrNotWritable
	}
	if !to.IsValid() {
		if !p.remote.IsValid() {
			return syscall.EDESTADDRREQ
		}
		to = p.remote
	} else if !p.flags.has(familyOf(to)) {
		if err := p.reaches(to); err != nil {
			return err
		}
	}
	longest := len(data)
	if msg != nil && msg.SegmentSize > 0 {
		longest = min(longest, msg.SegmentSize)
	}
	if !to.IsUnix() && (longest > largestIPv6 || to.IP().Is4() && longest > largestIPv4) {
		return syscall.EMSGSIZE
	}
	if p.queued > 0 && (p.queued >= p.o.Queue || p.bytes+len(data) > p.o.QueueBytes) {
		p.stats.Full++
		p.flags |= full
		return transport.ErrFull
	}
	return nil
}

// families notes which addresses can be sent to.
func (p *Port) families() {
	p.flags &^= takes4 | takes6
	for _, to := range [...]proactor.Address{anyIPv4, anyIPv6} {
		if p.reaches(to) == nil {
			p.flags |= familyOf(to)
		}
	}
}

// familyOf returns the flag of a UDP address.
func familyOf(to proactor.Address) flags {
	switch ip := to.IP(); {
	case to.Kind() != proactor.UDP || !ip.IsValid():
		return 0
	case ip.Is4():
		return takes4
	}
	return takes6
}

// reaches returns why nothing can be sent to an address: it is of another
// family than the socket.
func (p *Port) reaches(to proactor.Address) error {
	here := p.bound
	switch {
	case to.Kind() != here.Kind():
		return syscall.EAFNOSUPPORT
	case to.IsUnix():
		return nil
	case !to.IP().IsValid():
		return syscall.EDESTADDRREQ
	case !here.IP().IsValid() || here.IP().Is6() && here.IP().IsUnspecified() && !p.v6Only():
		return nil // the wildcard takes both
	case here.IP().Is4() != to.IP().Is4():
		return syscall.EAFNOSUPPORT
	}
	return nil
}

// v6Only reports whether a socket at the IPv6 wildcard takes nothing else, which
// it does unless it was told otherwise.
func (p *Port) v6Only() bool { return p.o.Socket == nil || p.o.Socket.V6Only != proactor.Off }

// Complete takes the result of a send.
func (k *packet) Complete(op *proactor.Op) {
	p := k.port
	if k.prev != nil {
		k.prev.next = k.next
	} else {
		p.active = k.next
	}
	if k.next != nil {
		k.next.prev = k.prev
	}
	p.queued--
	p.bytes -= len(op.Buf)
	err, to := op.Err, k.to
	if op.Addr == nil {
		to = p.remote
	}
	p.store.put(k)
	p.sent(to, err)
	p.settle()
}

// sent takes note of what became of a datagram.
func (p *Port) sent(to proactor.Address, err error) {
	switch {
	case err == nil:
		p.stats.Sent++
	case errors.Is(err, proactor.ErrCanceled):
		p.failed(to, transport.ErrNotWritable)
	default:
		p.stats.count(&p.stats.SendErrors, err)
		if errors.Is(err, syscall.ECONNREFUSED) {
			p.refused()
		}
		p.failed(to, err)
	}
	if p.flags.has(full) && p.queued <= p.o.Queue/2 && p.bytes <= p.o.QueueBytes/2 && p.state == started {
		p.flags &^= full
		if d, ok := transport.As[transport.Drainer](p.p); ok {
			p.call(d.ResumeWriting)
		}
	}
}

func (p *Port) failed(to proactor.Address, err error) {
	if f, ok := transport.As[SendFailer](p.p); ok {
		p.call(func() { f.SendFailed(to, err) })
	}
}
