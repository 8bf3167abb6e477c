//go:build linux

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A Message is one sendmsg(2) or recvmsg(2): its header, and the memory that
// the header names. It must not move from Out or In on until the kernel is done
// with it, and can be used again then; using it again allocates nothing.
type Message struct {
	Header  unix.Msghdr // Flags are a result
	name    RawAddr
	vector  unix.Iovec
	control []byte
}

// Out fills m to send p on e: to to, unless that is nil, with what msg says,
// unless that is nil, and with files in the place of msg.Files. Nothing else
// refers to p afterwards than m.Header, until Clear.
func (m *Message) Out(e *Entry, p []byte, to *proactor.Address, msg *proactor.Msg, files []int) error {
	m.Header = unix.Msghdr{Iov: &m.vector}
	m.Header.SetIovlen(1)
	m.put(p)
	is4 := e.Domain == unix.AF_INET
	if to != nil {
		if err := fits(e, to); err != nil {
			return err
		}
		if err := m.name.Set(*to, int(e.Domain)); err != nil {
			return err
		}
		m.Header.Name = (*byte)(unsafe.Pointer(&m.name.Any))
		m.Header.Namelen = m.name.Len
		is4 = to.IP().Is4()
	}
	if msg == nil || (len(msg.Control)+len(files)+msg.SegmentSize == 0 && msg.Info.Has == 0) {
		return nil
	}
	var err error
	if cap(m.control) < controlRoom {
		m.control = make([]byte, controlRoom)
	}
	if m.control, err = AppendControl(m.control[:0], e.Network, is4, msg, files); err != nil {
		return err
	}
	if len(m.control) > 0 {
		m.Header.Control = &m.control[0]
		m.Header.SetControllen(len(m.control))
	}
	return nil
}

// In fills m to receive into p, with room for control data if control is set.
// Without it the kernel drops descriptors that come.
func (m *Message) In(p []byte, control bool) {
	m.Header = unix.Msghdr{}
	m.put(p)
	m.name.Reset()
	m.Header.Name = (*byte)(unsafe.Pointer(&m.name.Any))
	m.Header.Namelen = m.name.Len
	if control {
		m.Header.Control = m.room()
		m.Header.SetControllen(len(m.control))
	}
	m.Header.Iov = &m.vector
	m.Header.SetIovlen(1)
}

// room makes m.control as long as control data may be, and returns where it begins.
func (m *Message) room() *byte {
	if m.control = m.control[:cap(m.control)]; len(m.control) < controlRoom {
		m.control = make([]byte, controlRoom)
	}
	return &m.control[0]
}

func (m *Message) put(p []byte) {
	m.vector = unix.Iovec{}
	if len(p) > 0 {
		m.vector.Base = &p[0]
		m.vector.SetLen(len(p))
	}
}

// Clear ends m's hold on the bytes it was filled with.
func (m *Message) Clear() { m.vector = unix.Iovec{} }

// Came reads what a recvmsg(2) told beside the bytes into op.Addr and op.Msg,
// as far as they are set. op.Msg.Control is m's memory.
func (s *Sockets) Came(e *Entry, m *Message, op *proactor.Op) {
	if op.Addr != nil {
		m.name.Len = m.Header.Namelen
		*op.Addr = s.Address(&m.name, e.Network)
	}
	if op.Msg != nil {
		m.Told(op.Msg)
	}
}

// Told reads what a recvmsg(2) into m told beside the bytes and the peer.
func (m *Message) Told(msg *proactor.Msg) {
	ReadControl(m.control[:m.Header.Controllen], int(m.Header.Flags), msg)
}

// CameFrom is Came's first half for a peer's name that lies elsewhere, as in the
// buffer of a ring's multishot. It may be empty.
func (s *Sockets) CameFrom(e *Entry, name []byte) proactor.Address {
	n := copy(unsafe.Slice((*byte)(unsafe.Pointer(&s.raw.Any)), unix.SizeofSockaddrAny), name)
	s.raw.Len = uint32(n)
	if n < 2 {
		s.raw.Any.Addr.Family = unix.AF_UNSPEC
		if e.Domain == unix.AF_UNIX {
			s.raw.Any.Addr.Family = unix.AF_UNIX // without a name of its own (unix(7))
		}
	}
	return s.Address(&s.raw, e.Network)
}

const (
	sendFlags = unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT
	recvFlags = unix.MSG_DONTWAIT | unix.MSG_CMSG_CLOEXEC
)

// Send sends m on fd without waiting, and returns how many bytes were taken.
func (m *Message) Send(fd int) (int, unix.Errno) {
	n, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.Header)), sendFlags)
	return count(n, e)
}

// Receive receives into m from fd without waiting.
func (m *Message) Receive(fd int) (int, unix.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.Header)), recvFlags)
	return count(n, e)
}

// mmsghdr is struct mmsghdr (sendmmsg(2)).
type mmsghdr struct {
	header unix.Msghdr
	n      uint32
}

// A Batch is messages that one system call sends or receives.
type Batch struct {
	messages []Message
	headers  []mmsghdr
}

// Init makes room for n messages. Before it Len is 0.
func (b *Batch) Init(n int) {
	b.messages, b.headers = make([]Message, n), make([]mmsghdr, n)
}

// Len returns how many messages there is room for.
func (b *Batch) Len() int { return len(b.messages) }

// At returns message i.
func (b *Batch) At(i int) *Message { return &b.messages[i] }

// Bytes returns how many bytes of message i were sent or received.
func (b *Batch) Bytes(i int) int { return int(b.headers[i].n) }

// In has message i receive into p, with room for control data if control is set.
func (b *Batch) In(i int, p []byte, control bool) {
	m, h := &b.messages[i], &b.headers[i].header
	m.put(p)
	m.name.Reset()
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(&m.name.Any)), m.name.Len
	h.Iov, h.Flags = &m.vector, 0
	h.SetIovlen(1)
	h.Control = nil
	h.SetControllen(0)
	if control {
		h.Control = m.room()
		h.SetControllen(len(m.control))
	}
}

// Send sends the first n messages on fd without waiting, and returns how many
// were. An error is that of the first one.
func (b *Batch) Send(fd, n int) (int, unix.Errno) {
	for i := range n {
		b.headers[i] = mmsghdr{header: b.messages[i].Header}
	}
	sent, _, e := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])), uintptr(n), sendFlags, 0, 0)
	return count(sent, e)
}

// A Bundle is messages that lie apart and that one system call sends.
type Bundle struct{ headers []mmsghdr }

// Add puts m into b. It must stay as it is until the next Send has returned.
func (b *Bundle) Add(m *Message) { b.headers = append(b.headers, mmsghdr{header: m.Header}) }

// Len returns how many messages are in b.
func (b *Bundle) Len() int { return len(b.headers) }

// HasControl reports whether message i has control data.
func (b *Bundle) HasControl(i int) bool { return b.headers[i].header.Controllen > 0 }

// Bytes returns how many bytes of message i the latest Send has sent.
func (b *Bundle) Bytes(i int) int { return int(b.headers[i].n) }

// Clear takes all messages out of b.
func (b *Bundle) Clear() { b.headers = b.headers[:0] }

// Send sends the first n messages on fd in order, without waiting, and returns how
// many were sent. An error is that of the first one. Why the one after those that
// were sent was not is not told (sendmmsg(2), BUGS).
//
// Go's scheduler is not told of the call: it waits for nothing.
func (b *Bundle) Send(fd, n int) (int, unix.Errno) {
	sent, _, e := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b.headers))), uintptr(n),
		sendFlags, 0, 0)
	return count(sent, e)
}

// Receive receives into up to n messages from fd, for each of which there was an In
// since it was received into, without waiting, and returns into how many. (Elsewhere an error may come beside them; here it waits for the
// next call.)
func (b *Batch) Receive(fd, n int) (int, unix.Errno) {
	came, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])), uintptr(n), recvFlags, 0, 0)
	got, err := count(came, e)
	for i := range got {
		b.messages[i].Header = b.headers[i].header
	}
	return got, err
}
