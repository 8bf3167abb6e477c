//go:build linux && (amd64 || arm64)

package uring

import "mobius/proactor"

// What the kernel carries for us and brings back is never a pointer but
//
//	kind:8 | generation:24 | slot:32
//
// The slot says which operation, the generation which time it was armed, so
// that a completion that comes late meets nobody else, and a cancel hits only
// what it was meant for. The kind says how to read a completion even if its
// slot has moved on: a buffer that it brings must be accounted for in any case.
const (
	kindCancel uint64 = iota // generation and slot are the target's
	kindWake
	kindOp
	kindMail        // datagrams, without room for control data
	kindMailControl // datagrams, with it
	kindRecv        // + the class of buffers
)

const (
	kindShift      = 56
	kindMask       = 0xff << kindShift
	generationMask = 1<<24 - 1
	noSlot         = ^uint32(0) // of an op that never had one: it failed at Submit, or is a Work
)

func userData(kind uint64, generation, slot uint32) uint64 {
	return kind<<kindShift | uint64(generation&generationMask)<<32 | uint64(slot)
}

// A role is what a slot does for its op. A relay has two slots, others one.
type role uint8

const (
	noRole role = iota
	accepting
	connecting
	receiving
	sending
	reading    // receiving from what is no socket
	writing    // sending to what is no socket
	drawing    // a relay's source
	pouring    // a relay's sink
	polling    // an OpPoll
	collecting // a RecvFrom
	posting    // a SendTo
	unpacking  // receiving from a unix stream, with a Msg
	minding    // an OpChild
)

// A slot is one submission at a time on behalf of an op.
type slot struct {
	op         *proactor.Op
	relay      *relay  // of drawing and pouring
	lane       *lane   // posting to a unix socket: what the kernel gets one of at a time
	letter     *letter // posting, sending with a Msg: what goes beside the bytes
	user       uint64  // user data of the latest arming
	generation uint32
	next       uint32 // in the list of free slots
	role       role
	armed      bool            // the kernel has it, or will with the next enter: a last completion will come
	poll       bool            // sending, posting, pouring: what is armed is a poll for room, not a send
	wait       bool            // sending, posting, pouring: the descriptor takes no more now; poll before the next send
	told       bool            // sending, pouring: room was promised since the last send
	misses     uint8           // sending, pouring: promises in a row of which nothing came
	first      bool            // posting: its outbox waits for its end
	hungry     bool            // receiving, collecting, drawing: it starved, and has got nothing since
	canceling  bool            // a cancel has been prepared for this arming
	tries      uint8           // cancels for this arming that found nothing
	class      uint8           // receiving: where the buffers come from
	wanted     uint8           // the class to take at the next arming
	retries    uint8           // receiving, drawing: pieces of this arming behind which the kernel saw more
	streak     int8            // receiving, several classes: how many sizes in a row spoke for a larger (+) or smaller (-) one
	ready      proactor.Events // polling: what was seen
	vector     int32           // sending: how many of op.Bufs are done, and how many bytes of the one after (-1: Buf)
	skip       int
}

// slots is the table. It may move when it grows: the kernel knows numbers only.
type slots struct {
	table []slot
	free  uint32 // first free slot + 1
	used  int
}

func (t *slots) at(i uint32) *slot { return &t.table[i] }

// take gives op a slot.
func (t *slots) take(op *proactor.Op, r role) (uint32, *slot) {
	if t.free == 0 {
		t.table = append(t.table, slot{next: 0})
		t.free = uint32(len(t.table))
	}
	i := t.free - 1
	s := &t.table[i]
	t.free = s.next
	*s = slot{op: op, role: r, generation: s.generation}
	t.used++
	return i, s
}

// give takes slot i back. Its generation moves on with the next arming.
func (t *slots) give(i uint32) {
	s := &t.table[i]
	s.op, s.role = nil, noRole
	s.next = t.free
	t.free = i + 1
	t.used--
}

// find returns the slot that a completion is for, nil if that has moved on.
func (t *slots) find(user uint64) *slot {
	i := uint32(user)
	if int(i) >= len(t.table) {
		return nil
	}
	if s := &t.table[i]; s.armed && s.user == user {
		return s
	}
	return nil
}
