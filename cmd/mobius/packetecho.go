package main

import (
	"context"

	"mobius"
	"mobius/proactor"
)

// A packetEcho sends datagrams back to whoever sent them.
type packetEcho struct {
	counts *echoCounts
	port   *mobius.DatagramPort
	answer mobius.DatagramMsg // what goes beside the datagram
}

// listenPackets starts an echo of datagrams. It lives on one loop.
func (s *echoServer) listenPackets(r *mobius.Reactor) (*mobius.DatagramPort, error) {
	e := &packetEcho{counts: s.counts[r.Loops()[0]]}
	port, err := r.ListenDatagram(s.on.addr, e, mobius.DatagramOptions{})
	if err != nil {
		return nil, err
	}
	if ip := s.on.addr.IP(); !ip.IsValid() || ip.IsUnspecified() {
		if err := port.SetOptions(&mobius.SocketOptions{RecvLocal: proactor.On}); err != nil {
			port.Loop().Log().Warn("the system does not tell which address was asked, and chooses the one that answers", "err", err)
		}
	}
	return port, nil
}

// stopPackets ends the echo once what it has to send is sent.
func stopPackets(ctx context.Context, p *mobius.DatagramPort) error {
	stopped := make(chan struct{})
	l := p.Loop()
	if l.Insist(func() { p.StopListening().Then(func(struct{}, error) { close(stopped) }) }) != nil {
		return nil // the loop has stopped, and the port with it
	}
	select {
	case <-stopped:
	case <-l.Done():
	case <-ctx.Done():
	}
	return ctx.Err()
}

// StartProtocol begins.
func (e *packetEcho) StartProtocol(p *mobius.DatagramPort) { e.port = p }

// DatagramReceived is not called: DatagramInfo is.
func (e *packetEcho) DatagramReceived(data []byte, from mobius.Address) {
	e.DatagramInfo(data, from, &mobius.DatagramMsg{})
}

// DatagramInfo sends data back, from the address that it came to.
func (e *packetEcho) DatagramInfo(data []byte, from mobius.Address, msg *mobius.DatagramMsg) {
	e.answer.Info = proactor.Info{}
	if i := &msg.Info; i.Has&proactor.HasLocal != 0 {
		e.answer.Info = proactor.Info{Has: proactor.HasLocal, Local: i.Local}
		if i.Local.IsLinkLocalUnicast() {
			e.answer.Info.Interface = i.Interface
		}
	}
	if msg.Truncated || e.port.WriteMsg(data, from, &e.answer) != nil {
		e.counts.dropped.Add(1)
		return
	}
	e.counts.datagrams.Add(1)
	e.counts.bytes.Add(int64(len(data)))
}

// SendFailed counts what this host did not send.
func (e *packetEcho) SendFailed(mobius.Address, error) { e.counts.dropped.Add(1) }

// StopProtocol ends.
func (e *packetEcho) StopProtocol(error) {}

var (
	_ mobius.DatagramInformed = (*packetEcho)(nil)
	_ mobius.SendFailer       = (*packetEcho)(nil)
)
