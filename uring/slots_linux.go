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
	kindErrand // whose result was not waited for any longer
	kindOp
	kindMail        // datagrams, without room for control data
	kindMailControl // datagrams, with it
	kindZeroCopy    // a send whose result a notification follows
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
	noting     // waiting for the notification of a zero-copy send, whose op has moved to another slot
)

// A slot is one submission at a time on behalf of an op. It fills a cache line:
// with thousands of streams each line that a completion touches is a miss.
type slot struct {
	op     *proactor.Op
	relay  *relay  // of drawing and pouring
	letter *letter // posting, sending with a Msg: what goes beside the bytes
	user   uint64  // user data of the latest arming; its lower half is the slot's number from the first use on
	skip   int     // sending: how many bytes are done of the piece that vector names. Noting: how many its entry took

	vector    int32  // sending: how many of op.Bufs are done; -1: Buf is not. Accepting: the place kept for the next + 1
	link      uint32 // free: the number of the next free slot + 1. Sending, noting: that of its notice + 1, if it has one
	role      role
	armed     bool            // the kernel has it, or will with the next enter: a last completion will come
	poll      bool            // sending, posting, pouring: what is armed is a poll for room, not a send. Receiving: one for bytes
	wait      bool            // sending, posting, pouring: the descriptor takes no more; poll before the next send. Collecting: in sacks
	told      bool            // sending, pouring: room was promised since the last send
	misses    uint8           // sending, pouring: promises in a row of which nothing came
	first     bool            // posting: its outbox waits for its end
	laned     bool            // posting to a unix socket: it is the one of its lane that the kernel has
	hungry    bool            // receiving, collecting, drawing: it starved, and has got nothing since
	canceling bool            // a cancel has been prepared for this arming
	tries     uint8           // cancels for this arming that found nothing
	class     uint8           // receiving: where the buffers come from
	wanted    uint8           // the class to take at the next arming
	retries   uint8           // receiving, drawing: pieces of this arming behind which the kernel saw more
	streak    int8            // receiving: sizes in a row for a larger class (+) or smaller (-); one class: see weigh. Collecting: see sack
	ready     proactor.Events // polling: what was seen
}

// number is the slot's place in the table.
func (s *slot) number() uint32 { return uint32(s.user) }

// slotChunk is how many slots are made at a time: 32 KiB.
const slotChunk = 512

// slots is the table. It grows by chunks: slots stay where they are, and a larger
// table leaves no smaller one behind, of which all that were before take four times
// the memory of the last.
type slots struct {
	chunks []*[slotChunk]slot
	made   uint32 // slots that were used once
	free   uint32 // number of the first free slot + 1
	used   int
}

func (t *slots) at(i uint32) *slot { return &t.chunks[i/slotChunk][i%slotChunk] }

// take gives op a slot.
func (t *slots) take(op *proactor.Op, r role) *slot {
	var s *slot
	if t.free != 0 {
		s = t.at(t.free - 1)
		t.free = s.link
	} else {
		if t.made%slotChunk == 0 {
			t.chunks = append(t.chunks, new([slotChunk]slot))
		}
		s = t.at(t.made)
		s.user = userData(0, 0, t.made)
		t.made++
	}
	*s = slot{op: op, role: r, user: s.user}
	t.used++
	return s
}

// give takes a slot back. Its generation moves on with the next arming.
func (t *slots) give(s *slot) {
	s.op, s.relay, s.role = nil, nil, noRole
	s.link = t.free
	t.free = s.number() + 1
	t.used--
}

// find returns the slot that a completion is for, nil if that has moved on.
func (t *slots) find(user uint64) *slot {
	i := uint32(user)
	if i >= t.made {
		return nil
	}
	if s := t.at(i); s.armed && s.user == user {
		return s
	}
	return nil
}

// each calls f for every slot that was used once.
func (t *slots) each(f func(*slot)) {
	for i := range t.made {
		f(t.at(i))
	}
}
