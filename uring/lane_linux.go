//go:build linux && (amd64 || arm64)

package uring

import "mobius/proactor"

// A lane is the way from one unix datagram socket to one receiver. The kernel
// gets its SendTo ops one at a time: a receiver's queue may be full (unix(7)),
// and of several sends that then wait any may be the first to find room. UDP
// sends do not wait for receivers; see outbox.
type lane struct {
	way   way
	queue proactor.Queue // ops that wait for the one the kernel has
	next  *lane          // in the list of unused ones
}

// A way is what a lane is found by.
type way struct {
	from proactor.Handle
	to   proactor.Address // none: the socket's peer
}

// wayOf returns the way of a SendTo.
func wayOf(op *proactor.Op) way {
	w := way{from: op.Handle}
	if op.Addr != nil {
		w.to = *op.Addr
	}
	return w
}

// enterLane reports whether op, in slot s, may go at once. If not, it waits in
// its lane.
func (b *Backend) enterLane(op *proactor.Op, s *slot) bool {
	w := wayOf(op)
	if l := b.lanes[w]; l != nil {
		l.queue.Push(op)
		return false
	}
	l := b.idleLanes
	if l == nil {
		l = &lane{}
	}
	b.idleLanes, l.next, l.way = l.next, nil, w
	if b.lanes == nil {
		b.lanes = map[way]*lane{}
	}
	b.lanes[w] = l
	s.laned = true
	return true
}

// leaveLane lets the next op go once that of s has ended, if it had a lane.
func (b *Backend) leaveLane(s *slot) {
	if !s.laned {
		return
	}
	s.laned = false
	l := b.lanes[wayOf(s.op)]
	op := l.queue.Pop()
	if op == nil {
		delete(b.lanes, l.way)
		l.way = way{}
		l.next, b.idleLanes = b.idleLanes, l
		return
	}
	b.slots.at(op.B.Slot).laned = true
	b.arm(op)
}
