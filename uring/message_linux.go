//go:build linux && (amd64 || arm64)

package uring

import (
	"structs"
	"unsafe"
)

// recvmsgOut is what a multishot IORING_OP_RECVMSG writes at the front of a
// buffer, struct io_uring_recvmsg_out. The name, the control data and the
// payload follow, the first two in as much room as the Message had asked for.
type recvmsgOut struct {
	_          structs.HostLayout
	nameLen    uint32
	controlLen uint32
	payloadLen uint32
	flags      uint32
}

const recvmsgOutSize = int(unsafe.Sizeof(recvmsgOut{}))

// A Received is a message that a multishot receive has put into a buffer. The
// slices lie in that.
type Received struct {
	Name    []byte // socket address of the sender; empty if it has none
	Control []byte // ancillary data, cmsg(3)
	Payload []byte
	Flags   uint32 // MSG_TRUNC, MSG_CTRUNC, …, see recvmsg(2)
}

// PrepRecvMessageMultishot receives messages again and again, each into a
// buffer of a [BufferRing], until it completes without IORING_CQE_F_MORE (kernel
// 6.0): as a multishot receive does, and after an empty message too. Of m, which
// may be changed once the entry was submitted, NameLen and ControlLen say how much room a
// sender's address and control data get. The ring must not be incremental.
func (s *SQE) PrepRecvMessageMultishot(fd int, m *Message, group uint16, flags uint32, user uint64) {
	*s = SQE{Opcode: IORING_OP_RECVMSG, Flags: IOSQE_BUFFER_SELECT, Ioprio: IORING_RECV_MULTISHOT, Fd: int32(fd),
		Addr: address(unsafe.Pointer(m)), Len: 1, OpFlags: flags, BufIndex: group, UserData: user}
}

// ParseReceived reads what a completion of [SQE.PrepRecvMessageMultishot] has brought: p
// are the first Res bytes of its buffer, nameLen and controlLen those of the
// Message. It reports false if p is none of that.
func ParseReceived(p []byte, nameLen, controlLen int) (r Received, ok bool) {
	head := recvmsgOutSize + nameLen + controlLen
	if len(p) < head {
		return r, false
	}
	out := (*recvmsgOut)(unsafe.Pointer(unsafe.SliceData(p)))
	name, control := p[recvmsgOutSize:][:nameLen], p[recvmsgOutSize+nameLen:][:controlLen]
	r.Name = name[:min(int(out.nameLen), nameLen)]
	r.Control = control[:min(int(out.controlLen), controlLen)]
	r.Payload, r.Flags = p[head:], out.flags
	return r, true
}
