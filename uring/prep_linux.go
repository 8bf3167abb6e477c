//go:build linux && (amd64 || arm64)

package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Prep methods fill in an entry as a whole and leave nothing of what was there
// before. Memory that an entry names must stay until its last completion;
// addresses, vectors and message headers only until the entry has been
// submitted (IORING_FEAT_SUBMIT_STABLE). user is what the completions will
// carry in UserData.

func address(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

// PrepNop does nothing, and completes with 0.
func (s *SQE) PrepNop(user uint64) { *s = SQE{Opcode: IORING_OP_NOP, Fd: -1, UserData: user} }

// PrepAccept accepts one connection. accept is SOCK_CLOEXEC, SOCK_NONBLOCK or
// both. The result is the new descriptor.
func (s *SQE) PrepAccept(fd int, accept uint32, user uint64) {
	*s = SQE{Opcode: IORING_OP_ACCEPT, Fd: int32(fd), OpFlags: accept, UserData: user}
}

// PrepAcceptMultishot accepts connections until it completes without
// IORING_CQE_F_MORE. The peer's address is not among the results: all share
// one entry.
func (s *SQE) PrepAcceptMultishot(fd int, accept uint32, user uint64) {
	*s = SQE{Opcode: IORING_OP_ACCEPT, Fd: int32(fd), Ioprio: IORING_ACCEPT_MULTISHOT, OpFlags: accept, UserData: user}
}

// PrepAcceptDirect accepts one connection into a place of the table that
// [Ring.RegisterFiles] has made (kernel 5.19). accept is SOCK_NONBLOCK or 0. The result is 0.
func (s *SQE) PrepAcceptDirect(fd, place int, accept uint32, user uint64) {
	*s = SQE{Opcode: IORING_OP_ACCEPT, Fd: int32(fd), OpFlags: accept, FileIndex: uint32(place) + 1, UserData: user}
}

// wantPeer has an accept fill in the peer's address, and its length, which
// says how much room there is. They must stay until it has completed.
func (s *SQE) wantPeer(to *unix.RawSockaddrAny, n *uint32) {
	s.Addr, s.Off = address(unsafe.Pointer(to)), address(unsafe.Pointer(n))
}

// PrepInstall gives the file at a place a descriptor, CLOEXEC, which is the
// result (kernel 6.8).
func (s *SQE) PrepInstall(place int, user uint64) {
	*s = SQE{Opcode: IORING_OP_FIXED_FD_INSTALL, Flags: IOSQE_FIXED_FILE, Fd: int32(place), UserData: user}
}

// PrepConnect connects to a socket address of n bytes.
func (s *SQE) PrepConnect(fd int, sockaddr unsafe.Pointer, n uint32, user uint64) {
	*s = SQE{Opcode: IORING_OP_CONNECT, Fd: int32(fd), Addr: address(sockaddr), Off: uint64(n), UserData: user}
}

// PrepRecv receives up to len(p) bytes into p.
func (s *SQE) PrepRecv(fd int, p []byte, flags uint32, user uint64) {
	*s = SQE{Opcode: IORING_OP_RECV, Fd: int32(fd), Addr: address(unsafe.Pointer(unsafe.SliceData(p))), Len: uint32(len(p)),
		OpFlags: flags, UserData: user}
}

// PrepRecvSelect receives once, into a buffer of a [BufferRing], at most limit
// bytes (0: as many as fit).
func (s *SQE) PrepRecvSelect(fd int, group uint16, limit uint32, user uint64) {
	*s = SQE{Opcode: IORING_OP_RECV, Flags: IOSQE_BUFFER_SELECT, Fd: int32(fd), Len: limit, BufIndex: group, UserData: user}
}

// PrepRecvMultishot receives again and again, each time into a buffer of a
// [BufferRing], until it completes without IORING_CQE_F_MORE: at the end of the stream, for an
// error, when no buffer is left (ENOBUFS), when the CQ is full, when cancelled.
func (s *SQE) PrepRecvMultishot(fd int, group uint16, user uint64) {
	*s = SQE{Opcode: IORING_OP_RECV, Flags: IOSQE_BUFFER_SELECT, Ioprio: IORING_RECV_MULTISHOT, Fd: int32(fd), BufIndex: group,
		UserData: user}
}

// PrepSend sends p. flags are those of send(2); with MSG_WAITALL the kernel goes
// on after a short write. The result may still be short, after an error or a cancel.
func (s *SQE) PrepSend(fd int, p []byte, flags uint32, user uint64) {
	*s = SQE{Opcode: IORING_OP_SEND, Fd: int32(fd), Addr: address(unsafe.Pointer(unsafe.SliceData(p))), Len: uint32(len(p)),
		OpFlags: flags, UserData: user}
}

// PrepSendZeroCopy sends p, of which the kernel makes no copy if it can do
// without (kernel 6.2). The result has IORING_CQE_F_MORE if a second completion follows, after a
// failure too: it has IORING_CQE_F_NOTIF, and only then p may be changed. Its Res has
// IORING_NOTIF_USAGE_ZC_COPIED if the kernel copied after all, or p was not used.
func (s *SQE) PrepSendZeroCopy(fd int, p []byte, flags uint32, user uint64) {
	*s = SQE{Opcode: IORING_OP_SEND_ZC, Ioprio: IORING_SEND_ZC_REPORT_USAGE, Fd: int32(fd),
		Addr: address(unsafe.Pointer(unsafe.SliceData(p))), Len: uint32(len(p)), OpFlags: flags, UserData: user}
}

// FromRegistered says that the memory of a zero-copy send lies in the one of
// that index of [Ring.RegisterMemory].
func (s *SQE) FromRegistered(index int) {
	s.Ioprio |= IORING_RECVSEND_FIXED_BUF
	s.BufIndex = uint16(index)
}

// PrepSendVectors sends the memory of several vectors in order (kernel 6.17).
func (s *SQE) PrepSendVectors(fd int, v []Vector, flags uint32, user uint64) {
	*s = SQE{Opcode: IORING_OP_SEND, Ioprio: IORING_SEND_VECTORIZED, Fd: int32(fd), Len: uint32(len(v)),
		Addr: address(unsafe.Pointer(unsafe.SliceData(v))), OpFlags: flags, UserData: user}
}

// PrepSendMessage sends a message, see sendmsg(2).
func (s *SQE) PrepSendMessage(fd int, m *Message, flags uint32, user uint64) {
	*s = SQE{Opcode: IORING_OP_SENDMSG, Fd: int32(fd), Addr: address(unsafe.Pointer(m)), Len: 1, OpFlags: flags, UserData: user}
}

// PrepPoll waits once until one of the events (POLLIN, POLLOUT, …) holds. The
// result is the events that do.
func (s *SQE) PrepPoll(fd int, events uint32, user uint64) {
	*s = SQE{Opcode: IORING_OP_POLL_ADD, Fd: int32(fd), OpFlags: events, UserData: user}
}

// PrepPollMultishot completes each time that one of the events comes to hold:
// an edge, not a level.
func (s *SQE) PrepPollMultishot(fd int, events uint32, user uint64) {
	*s = SQE{Opcode: IORING_OP_POLL_ADD, Fd: int32(fd), Len: IORING_POLL_ADD_MULTI, OpFlags: events, UserData: user}
}

// prepTimeout completes with -ETIME after a time, which the kernel reads when it
// takes the entry.
func (s *SQE) prepTimeout(after *timespec, user uint64) {
	*s = SQE{Opcode: IORING_OP_TIMEOUT, Fd: -1, Addr: address(unsafe.Pointer(after)), Len: 1, UserData: user}
}

// PrepCancel cancels the submission with the given user data. The result is 0,
// -ENOENT (there is none, or it has completed) or -EALREADY (it is running): only the
// target's own last completion tells that it has ended.
func (s *SQE) PrepCancel(target, user uint64) {
	*s = SQE{Opcode: IORING_OP_ASYNC_CANCEL, Fd: -1, Addr: target, UserData: user}
}

// PrepCancelAll cancels everything that the ring has in flight.
func (s *SQE) PrepCancelAll(user uint64) {
	*s = SQE{Opcode: IORING_OP_ASYNC_CANCEL, Fd: -1, OpFlags: IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL, UserData: user}
}
