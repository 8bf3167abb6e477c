//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A Message is one sendmsg(2) or recvmsg(2), and the memory that it needs
// beside the bytes.
type Message struct {
	name    RawAddr
	to      unix.Sockaddr // nil: where the socket is connected to
	bytes   []byte
	control []byte
	flags   int
	n       int // bytes sent or received
}

// Out fills m to send p on e: to to, unless that is nil, with what msg says,
// unless that is nil, and with files in the place of msg.Files.
func (m *Message) Out(e *Entry, p []byte, to *proactor.Address, msg *proactor.Msg, files []int) error {
	m.bytes, m.to, m.control = p, nil, m.control[:0]
	is4 := e.Domain == unix.AF_INET
	if to != nil {
		if err := fits(e, to); err != nil {
			return err
		}
		if err := m.name.Set(*to, int(e.Domain)); err != nil {
			return err
		}
		m.to = m.name.addr
		is4 = to.IP().Is4()
	}
	var err error
	if msg != nil {
		m.control, err = AppendControl(m.control, e.Network, is4, msg, files)
	}
	return err
}

// In fills m to receive into p, with room for control data if control is set.
// Without it the kernel drops descriptors that come.
func (m *Message) In(p []byte, control bool) {
	m.bytes = p
	if m.control = m.control[:0]; control {
		if m.control = m.control[:cap(m.control)]; len(m.control) < controlRoom {
			m.control = make([]byte, controlRoom)
		}
	}
}

// Clear ends m's hold on the bytes it was filled with.
func (m *Message) Clear() { m.bytes = nil }

// Came reads what a recvmsg(2) told beside the bytes into op.Addr and op.Msg,
// as far as they are set. op.Msg.Control is m's memory.
func (s *Sockets) Came(e *Entry, m *Message, op *proactor.Op) {
	if op.Addr != nil {
		*op.Addr = s.Address(&m.name, e.Network)
	}
	if op.Msg != nil {
		m.Told(op.Msg)
	}
}

// Told reads what a recvmsg(2) into m told beside the bytes and the peer.
func (m *Message) Told(msg *proactor.Msg) { ReadControl(m.control, m.flags, msg) }

// Send sends m on fd without waiting, and returns how many bytes were taken.
func (m *Message) Send(fd int) (int, unix.Errno) {
	n, err := unix.SendmsgN(fd, m.bytes, m.control, m.to, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	return n, errno(err)
}

// Receive receives into m from fd without waiting.
func (m *Message) Receive(fd int) (int, unix.Errno) {
	n, controls, flags, from, err := unix.Recvmsg(fd, m.bytes, m.control, unix.MSG_DONTWAIT)
	if err != nil {
		return 0, errno(err)
	}
	m.control, m.flags, m.name.addr = m.control[:controls], flags, from
	var told proactor.Msg
	if controls > 0 {
		// Not every system has MSG_CMSG_CLOEXEC.
		ReadControl(m.control, flags, &told)
		for _, file := range told.Files {
			unix.CloseOnExec(file)
		}
	}
	return n, 0
}

// A Batch is messages that are sent or received together, as far as that goes:
// package unix has no call for several here.
type Batch struct{ messages []Message }

// Init makes room for n messages. Before it Len is 0.
func (b *Batch) Init(n int) { b.messages = make([]Message, n) }

// Len returns how many messages there is room for.
func (b *Batch) Len() int { return len(b.messages) }

// At returns message i.
func (b *Batch) At(i int) *Message { return &b.messages[i] }

// Bytes returns how many bytes of message i were sent or received.
func (b *Batch) Bytes(i int) int { return b.messages[i].n }

// In has message i receive into p, with room for control data if control is set.
func (b *Batch) In(i int, p []byte, control bool) { b.messages[i].In(p, control) }

// Send sends the first n messages on fd without waiting, and returns how many
// were. An error is that of the first one.
func (b *Batch) Send(fd, n int) (int, unix.Errno) {
	for i := range n {
		var e unix.Errno
		if b.messages[i].n, e = b.messages[i].Send(fd); e != 0 {
			if i > 0 {
				e = 0
			}
			return i, e
		}
	}
	return n, 0
}

// Receive receives into up to n messages from fd, for each of which there was an In
// since it was received into, without waiting, and returns into how many. An error may come beside them.
func (b *Batch) Receive(fd, n int) (int, unix.Errno) {
	for i := range n {
		var e unix.Errno
		if b.messages[i].n, e = b.messages[i].Receive(fd); e != 0 {
			if i > 0 && e == unix.EAGAIN {
				e = 0
			}
			return i, e
		}
	}
	return n, 0
}
