package datagram

import (
	"errors"
	"slices"
	"syscall"

	"mobius/proactor"
	"mobius/transport"
)

// kept is a datagram that came during a pause.
type kept struct {
	data []byte
	from proactor.Address
	msg  proactor.Msg
}

// received takes one result of the RecvFrom.
func (p *Port) received(op *proactor.Op) {
	if op.Err == nil && p.state == started && p.msg.Truncated {
		p.stats.Truncated++
	}
	switch {
	case op.Err == nil && p.state != started:
		p.discard(op.Msg.Files)
	case op.Err == nil && (p.flags.has(paused) || len(p.kept) > 0):
		p.keep(op)
	case op.Err == nil:
		p.row = 0
		p.deliver(op.Buf, p.from, &p.msg)
	}
	if op.More || p.state != started {
		return
	}
	if op.Err != nil && op.Err != proactor.ErrCanceled && !p.survives(op.Err) {
		return
	}
	if !p.flags.has(paused) && !p.flags.has(resting) {
		p.l.Resume(&p.recv)
	}
}

// survives takes an error of receiving and reports whether the port goes on. An
// error that a datagram of ours has met on its way is told to the next call of
// the socket, whatever it is (ip(7), udp(7)): only what says that the socket
// is none ends the port.
func (p *Port) survives(err error) bool {
	p.stats.count(&p.stats.ReceiveErrors, err)
	if errors.Is(err, syscall.EBADF) || errors.Is(err, syscall.ENOTSOCK) || errors.Is(err, syscall.EINVAL) ||
		errors.Is(err, proactor.ErrClosed) || errors.Is(err, proactor.ErrUnsupported) {
		p.end(transport.Lost, "read", err)
		return false
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		p.refused()
	}
	if p.row++; p.row >= restAfter && p.state == started {
		p.flags |= resting
		p.l.Start(&p.timer, rest)
	}
	return p.state == started
}

// refused tells the protocol of a connected port.
func (p *Port) refused() {
	if !p.remote.IsValid() || p.state != started {
		return
	}
	if r, ok := transport.As[ConnectionRefuser](p.p); ok {
		p.call(r.ConnectionRefused)
	}
}

// deliver gives a datagram, or a train of them, to the protocol.
func (p *Port) deliver(data []byte, from proactor.Address, msg *proactor.Msg) {
	n := msg.SegmentSize
	if n <= 0 || n >= len(data) {
		msg.SegmentSize = 0
		p.one(data, from, msg)
		return
	}
	whole := len(data) // bytes of datagrams that are
	if msg.Truncated {
		whole -= len(data) % n
		msg.Truncated = false
	}
	tail := data[whole:]
	if p.trains() && whole > 0 {
		p.stats.Received += uint64((whole + n - 1) / n)
		p.train(data[:whole:whole], from, msg)
		data = tail
	}
	for msg.SegmentSize = 0; len(data) > 0 && p.state == started; {
		if p.flags.has(paused) { // by the datagram before
			rest := proactor.Msg{SegmentSize: n, Truncated: len(tail) > 0, Info: msg.Info}
			p.kept = slices.Insert(p.kept, 0, kept{data: slices.Clone(data), from: from, msg: rest})
			return
		}
		cut := min(n, len(data))
		msg.Truncated = len(data) == len(tail)
		p.one(data[:cut:cut], from, msg)
		data = data[cut:]
	}
}

// one gives one datagram to the protocol.
func (p *Port) one(data []byte, from proactor.Address, msg *proactor.Msg) {
	defer p.returned()
	switch {
	case p.informed != nil:
		p.stats.Received++
		p.informed.DatagramInfo(data, from, msg)
	case msg.Truncated:
		p.discard(msg.Files)
	default:
		p.stats.Received++
		p.discard(msg.Files)
		p.p.DatagramReceived(data, from)
	}
}

// trains reports whether the protocol takes several datagrams at once.
func (p *Port) trains() bool { return p.informedTrains != nil || p.plainTrains != nil }

func (p *Port) train(data []byte, from proactor.Address, msg *proactor.Msg) {
	defer p.returned()
	if p.informedTrains != nil {
		p.informedTrains.TrainInfo(data, from, msg)
	} else {
		p.plainTrains.TrainReceived(data, msg.SegmentSize, from)
	}
}

// discard closes files that nobody wants.
func (p *Port) discard(files []int) {
	for _, fd := range files {
		_ = p.l.Sockets().Discard(fd)
	}
}

// keep copies what came during a pause: it was under way already.
func (p *Port) keep(op *proactor.Op) {
	k := kept{data: slices.Clone(op.Buf), from: p.from, msg: p.msg}
	k.msg.Control, k.msg.Files = slices.Clone(p.msg.Control), slices.Clone(p.msg.Files)
	p.kept = append(p.kept, k)
}

// PauseReading stops DatagramReceived until ResumeReading; the last of both
// counts. What arrives meanwhile stays in the socket's buffer, and is lost when
// that is full.
func (p *Port) PauseReading() {
	if p.state != started || p.flags.has(paused) {
		return
	}
	p.flags |= paused
	p.l.Cancel(&p.recv)
}

// ResumeReading goes on. What was under way when the port was paused comes
// first, at the end of the loop's turn.
func (p *Port) ResumeReading() {
	if p.state != started || !p.flags.has(paused) {
		return
	}
	p.flags &^= paused
	p.l.AtTurnEnd(&p.flush)
}

// goOn delivers what was kept, and receives on.
func (p *Port) goOn() {
	for len(p.kept) > 0 && p.state == started && !p.flags.has(paused) {
		k := p.kept[0]
		p.kept[0] = kept{}
		p.kept = p.kept[1:]
		p.deliver(k.data, k.from, &k.msg)
	}
	if len(p.kept) == 0 {
		p.kept = nil
	}
	if p.state == started && !p.flags.has(paused) && !p.flags.has(resting) {
		p.l.Resume(&p.recv)
	}
}
