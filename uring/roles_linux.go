//go:build linux && (amd64 || arm64)

package uring

import (
	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/internal/sys"
	"mobius/proactor"
)

// roleOf says what a slot does for op on e, noRole if that cannot be done.
func roleOf(op *proactor.Op, e *sys.Entry) role {
	if e == nil {
		return noRole
	}
	if op.Kind == proactor.OpPoll {
		return polling
	}
	if op.Kind == proactor.OpConnect && op.Addr == nil {
		return noRole
	}
	if oneWay(op, e) {
		return noRole
	}
	if op.Kind == proactor.OpRecv && op.Msg != nil && e.Network == proactor.Unix && e.Kind == sys.Stream {
		return unpacking
	}
	return roles[e.Kind][op.Kind]
}

// roles are those that a handle's kind and an op's make together.
var roles = [...][proactor.OpWork + 1]role{
	sys.Stream:   {proactor.OpConnect: connecting, proactor.OpRecv: receiving, proactor.OpSend: sending},
	sys.Listener: {proactor.OpAccept: accepting},
	sys.Datagram: {proactor.OpConnect: connecting, proactor.OpRecvFrom: collecting, proactor.OpSendTo: posting},
	sys.Child:    {proactor.OpChild: minding},
	sys.Other:    {proactor.OpRecv: reading, proactor.OpSend: writing},
}

// unfit is the error of an op on a handle of another kind than it needs.
func unfit(op *proactor.Op, e *sys.Entry) error {
	if oneWay(op, e) {
		return unix.EBADF // as read(2) and write(2) say
	}
	switch op.Kind {
	case proactor.OpRecvFrom, proactor.OpSendTo:
		return unix.ENOTSOCK
	case proactor.OpChild:
		return unix.ECHILD
	}
	return proactor.ErrUnsupported
}

// oneWay reports whether op goes in the direction that e was not opened for: a
// poll would wait for ever.
func oneWay(op *proactor.Op, e *sys.Entry) bool {
	return op.Kind == proactor.OpRecv && e.NoRead || op.Kind == proactor.OpSend && e.NoWrite
}

// A descriptor is what this backend remembers of a descriptor number, in
// sys.Entry.User. It stays with the number.
type descriptor struct {
	handle  proactor.Handle // whose class this is
	class   uint8
	copies  bool         // the kernel copies what is sent: sends are plain ones
	bulk    bool         // its pieces were large lately
	hungUp  bool         // the peer has ended its side: polls for room must be multishot
	outbox  *outbox      // of a UDP socket, once it has sent
	peer    *sys.RawAddr // of a listener: where the kernel writes who is accepted into a place
	in, out *proactor.Op // active ops, kept only if invariants are compiled in
}

func descriptorOf(e *sys.Entry) *descriptor {
	d, _ := e.User.(*descriptor)
	if d == nil {
		d = &descriptor{}
		e.User = d
	}
	if h := e.Handle(); d.handle != h {
		*d = descriptor{handle: h}
	}
	return d
}

// direction returns where e keeps the op of a role's direction.
func (d *descriptor) direction(r role) **proactor.Op {
	switch r {
	case accepting, receiving, reading, drawing, collecting, unpacking, minding:
		return &d.in
	}
	return &d.out
}

// shared reports whether several ops of a role may be active on a handle.
func shared(r role) bool { return r == polling || r == posting }

// occupy panics if another op of the same direction is active on the handle.
func occupy(e *sys.Entry, op *proactor.Op, r role) {
	if shared(r) {
		return
	}
	at := descriptorOf(e).direction(r)
	invariant.Assert(*at == nil, "uring: a second %v on handle %v", op.Kind, op.Handle)
	*at = op
}

// vacate takes back occupy.
func vacate(e *sys.Entry, r role) {
	if !shared(r) {
		*descriptorOf(e).direction(r) = nil
	}
}
