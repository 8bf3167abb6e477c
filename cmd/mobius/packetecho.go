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
	// Without it datagrams come one by one, which costs more and changes nothing.
	_ = port.SetOptions(&mobius.SocketOptions{SegmentedReceive: proactor.On})
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
	if msg.Truncated {
		e.counts.dropped.Add(1)
		return
	}
	e.send(data, 1, from, msg)
}

// TrainInfo sends back datagrams that came together, together.
func (e *packetEcho) TrainInfo(data []byte, from mobius.Address, msg *mobius.DatagramMsg) {
	e.send(data, (len(data)+msg.SegmentSize-1)/msg.SegmentSize, from, msg)
}

// send sends count datagrams back.
func (e *packetEcho) send(data []byte, count int, from mobius.Address, msg *mobius.DatagramMsg) {
	i := &msg.Info
	var err error
	if i.Has&proactor.HasLocal == 0 && count == 1 {
		err = e.port.WriteTo(data, from)
	} else {
		e.answer = mobius.DatagramMsg{SegmentSize: msg.SegmentSize}
		if i.Has&proactor.HasLocal != 0 {
			e.answer.Info.Has, e.answer.Info.Local = proactor.HasLocal, i.Local
		}
		if i.Local.IsLinkLocalUnicast() {
			e.answer.Info.Interface = i.Interface // without it such an address says nothing
		}
		err = e.port.WriteMsg(data, from, &e.answer)
	}
	if err != nil {
		e.counts.dropped.Add(uint64(count))
		return
	}
	e.counts.datagrams.Add(uint64(count))
	e.counts.bytes.Add(int64(len(data)))
}

// SendFailed counts what this host did not send.
func (e *packetEcho) SendFailed(mobius.Address, error) { e.counts.dropped.Add(1) }

// StopProtocol ends.
func (e *packetEcho) StopProtocol(error) {}

var (
	_ mobius.DatagramInformed = (*packetEcho)(nil)
	_ mobius.TrainInformed    = (*packetEcho)(nil)
	_ mobius.SendFailer       = (*packetEcho)(nil)
)
