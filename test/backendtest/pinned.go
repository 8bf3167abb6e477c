package backendtest

import (
	"bytes"

	"mobius/proactor"
)

// Pinned returns b with a Pin on every Send that has none and no Msg: a copy of its
// bytes is sent, and spoilt as soon as it is given back, so that whatever is read from it
// later shows.
func Pinned(b proactor.Backend) proactor.Backend { return &pinned{b} }

type pinned struct{ proactor.Backend }

// Submit implements proactor.Backend.
func (p *pinned) Submit(op *proactor.Op) {
	if op.Kind == proactor.OpSend && op.Pin == nil && op.Msg == nil && !op.Active() {
		lend(op)
	}
	p.Backend.Submit(op)
}

// A loan stands between a Send and its owner.
type loan struct {
	pin   proactor.Pin
	owner proactor.Completer
	buf   []byte
	bufs  [][]byte
	lent  [][]byte
	back  bool
}

func lend(op *proactor.Op) {
	l := &loan{owner: op.Owner, buf: op.Buf, bufs: op.Bufs}
	l.pin.Owner = l
	for _, p := range append([][]byte{op.Buf}, op.Bufs...) {
		l.lent = append(l.lent, bytes.Clone(p))
	}
	op.Owner, op.Pin = l, &l.pin
	op.Buf, op.Bufs = l.lent[0], l.lent[1:]
}

// Complete implements proactor.Completer.
func (l *loan) Complete(op *proactor.Op) {
	if l.back {
		panic("backendtest: Released before the last completion")
	}
	op.Owner, op.Buf, op.Bufs, op.Pin = l.owner, l.buf, l.bufs, nil
	l.owner.Complete(op)
}

// Released implements proactor.PinOwner.
func (l *loan) Released(pin *proactor.Pin, _ bool) {
	if l.back || pin != &l.pin {
		panic("backendtest: Released twice, or of another pin")
	}
	l.back = true
	for _, p := range l.lent {
		for i := range p {
			p[i] = 0xEE
		}
	}
}
