package compat

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"mobius"
	"mobius/proactor"
	"mobius/transport/datagram"
)

// A listener is one of the addresses that an engine serves.
type listener struct {
	network, address string // as they were given
	port             *mobius.Port
	packets          []*packets // one per loop, or one
}

func (n *listener) addr() mobius.Address {
	if n.port != nil {
		return n.port.Addr()
	}
	return n.packets[0].port.LocalAddr()
}

// stop stops what n has on a loop.
func (n *listener) stop(el *eventLoop) {
	if n.port != nil && n.port.Loop() == el.l {
		n.port.StopListening()
	}
	for _, p := range n.packets {
		if p.el == el {
			p.port.StopListening()
		}
	}
}

// listen binds an address, before the engine runs.
func (e *engine) listen(protoAddr string) error {
	network, address, err := parseProtoAddr(protoAddr)
	if err != nil {
		return err
	}
	addr, err := resolve(network, address)
	if err != nil {
		return err
	}
	n := &listener{network: network, address: address}
	socket := e.o.socket(network)
	if addr.Kind() == proactor.UDP {
		n.packets, err = e.listenPackets(addr, socket)
	} else {
		n.port, err = e.r.Listen(addr, e, mobius.ListenOptions{ReusePort: e.o.ReusePort, Socket: socket, Transport: e.o.transport()})
	}
	if err != nil {
		return err
	}
	e.listeners = append(e.listeners, n)
	return nil
}

// listenPackets binds a UDP socket for each loop, among which the kernel spreads
// the senders. One of a multicast group is one: each would get every datagram.
func (e *engine) listenPackets(addr mobius.Address, socket *mobius.SocketOptions) ([]*packets, error) {
	group := addr.IP()
	many := len(e.loops) > 1 && e.o.ReusePort && !group.IsMulticast()
	socket.ReusePort = many || e.o.ReusePort
	var all []*packets
	for _, el := range e.loops {
		p := newPackets(el)
		if _, err := datagram.Listen(el.l, addr, p, &datagram.Options{Socket: socket}); err != nil {
			return nil, err
		}
		all = append(all, p)
		addr = p.port.LocalAddr()
		if !many {
			break
		}
	}
	if !group.IsMulticast() {
		return all, nil
	}
	m := proactor.Membership{Group: group}
	if i := e.o.MulticastInterfaceIndex; i > 0 {
		m.Interface = strconv.Itoa(i)
	}
	if err := all[0].port.Join(m); err != nil {
		return nil, fmt.Errorf("compat: join %v: %w", group, err)
	}
	return all, nil
}

// parseProtoAddr takes an address apart.
func parseProtoAddr(s string) (network, address string, err error) {
	network, address, ok := strings.Cut(s, "://")
	if !ok || address == "" {
		return "", "", fmt.Errorf("%w: %q, want NETWORK://ADDRESS", ErrInvalidNetworkAddress, s)
	}
	switch network {
	case "unix":
		return network, address, nil
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
		if strings.Contains(address, "/") {
			return "", "", fmt.Errorf("%w: %q, want %s://HOST:PORT", ErrInvalidNetworkAddress, s, network)
		}
		return network, address, nil
	}
	return "", "", fmt.Errorf("%w: %q", ErrUnsupportedProtocol, s)
}

// resolve returns the address that is written as text, looking names up.
func resolve(network, text string) (mobius.Address, error) {
	base := strings.TrimRight(network, "46")
	if addr, err := mobius.ParseAddress(base, text); err == nil && (base == network || addr.IsUnix()) {
		return addr, nil
	}
	var a net.Addr
	var err error
	switch base {
	case "tcp":
		a, err = net.ResolveTCPAddr(network, text)
	case "udp":
		a, err = net.ResolveUDPAddr(network, text)
	default:
		err = fmt.Errorf("%w: %q", ErrUnsupportedProtocol, network)
	}
	if err != nil {
		return mobius.Address{}, errors.Join(ErrInvalidNetworkAddress, err)
	}
	addr := mobius.Address(proactor.FromNetAddr(a))
	if !addr.IP().IsValid() { // an empty host: all of one family, or of both
		all := map[string]string{"4": "0.0.0.0", "6": "[::]"}[network[len(base):]]
		return mobius.ParseAddress(base, all+":"+strconv.Itoa(int(addr.Port())))
	}
	return addr, nil
}
