//go:build linux && (amd64 || arm64)

package uring

import (
	"structs"
	"unsafe"
)

// The types and constants of this file are those of the kernel's
// include/uapi/linux/io_uring.h (6.18), under the kernel's names; only what
// this package can make use of is here. abi_linux_test.go pins sizes and
// offsets.

// An SQE is a submission queue entry, struct io_uring_sqe. Its Prep methods
// (prep_linux.go) fill it in as a whole. Unions go by their first use; the
// comments name the others.
type SQE struct {
	_           structs.HostLayout
	Opcode      uint8  // IORING_OP_…
	Flags       uint8  // IOSQE_…
	Ioprio      uint16 // flags of accept, poll, recv and send
	Fd          int32
	Off         uint64 // addr2
	Addr        uint64 // splice_off_in
	Len         uint32
	OpFlags     uint32 // msg_flags, accept_flags, cancel_flags, poll32_events, timeout_flags, …
	UserData    uint64
	BufIndex    uint16 // buf_group
	Personality uint16
	FileIndex   uint32 // splice_fd_in, addr_len
	Addr3       uint64
	_           uint64
}

// A CQE is a completion queue entry, struct io_uring_cqe.
type CQE struct {
	_        structs.HostLayout
	UserData uint64
	Res      int32 // the result: a count, a descriptor, or -errno
	Flags    uint32
}

// Buffer returns the id of the provided buffer that the entry used; it means
// something only if Flags has IORING_CQE_F_BUFFER.
func (c CQE) Buffer() uint16 { return uint16(c.Flags >> IORING_CQE_BUFFER_SHIFT) }

// More reports whether the same submission will complete again.
func (c CQE) More() bool { return c.Flags&IORING_CQE_F_MORE != 0 }

type sqringOffsets struct { // struct io_sqring_offsets
	_                                                               structs.HostLayout
	head, tail, ringMask, ringEntries, flags, dropped, array, resv1 uint32
	userAddr                                                        uint64
}

type cqringOffsets struct { // struct io_cqring_offsets
	_                                                               structs.HostLayout
	head, tail, ringMask, ringEntries, overflow, cqes, flags, resv1 uint32
	userAddr                                                        uint64
}

type params struct { // struct io_uring_params
	_            structs.HostLayout
	sqEntries    uint32
	cqEntries    uint32
	flags        uint32
	sqThreadCPU  uint32
	sqThreadIdle uint32
	features     uint32
	wqFd         uint32
	resv         [3]uint32
	sqOff        sqringOffsets
	cqOff        cqringOffsets
}

type geteventsArg struct { // struct io_uring_getevents_arg
	_           structs.HostLayout
	sigmask     uint64
	sigmaskSz   uint32
	minWaitUsec uint32
	ts          uint64
}

type timespec struct { // struct __kernel_timespec
	_    structs.HostLayout
	sec  int64
	nsec int64
}

type buf struct { // struct io_uring_buf
	_    structs.HostLayout
	addr uint64
	len  uint32
	bid  uint16
	resv uint16 // of entry 0: the ring's tail
}

type bufReg struct { // struct io_uring_buf_reg
	_           structs.HostLayout
	ringAddr    uint64
	ringEntries uint32
	bgid        uint16
	flags       uint16
	resv        [3]uint64
}

type rsrcUpdate struct { // struct io_uring_rsrc_update
	_      structs.HostLayout
	offset uint32
	resv   uint32
	data   uint64
}

type rsrcRegister struct { // struct io_uring_rsrc_register
	_     structs.HostLayout
	nr    uint32
	flags uint32
	resv2 uint64
	data  uint64
	tags  uint64
}

type probeOp struct { // struct io_uring_probe_op
	_     structs.HostLayout
	op    uint8
	resv  uint8
	flags uint16
	resv2 uint32
}

type probe struct { // struct io_uring_probe
	_      structs.HostLayout
	lastOp uint8
	opsLen uint8
	resv   uint16
	resv2  [3]uint32
	ops    [256]probeOp
}

// A Restriction allows one thing to a ring that was set up with
// IORING_SETUP_R_DISABLED, struct io_uring_restriction.
type Restriction struct {
	_      structs.HostLayout
	Opcode uint16 // IORING_RESTRICTION_…
	Allow  uint8  // the register op, the SQE op, or the SQE flags
	_      uint8
	_      [3]uint32
}

// A Vector names memory, struct iovec. It holds an address, not a pointer, so
// that it may lie outside the Go heap: whoever sets it keeps the memory alive.
type Vector struct {
	_    structs.HostLayout
	Base uint64
	Len  uint64
}

// Set makes v name p.
func (v *Vector) Set(p []byte) {
	v.Base, v.Len = address(unsafe.Pointer(unsafe.SliceData(p))), uint64(len(p))
}

// A Message is what [SQE.PrepSendMessage] sends, struct user_msghdr. Like a
// [Vector] it holds addresses.
type Message struct {
	_          structs.HostLayout
	Name       uint64 // of a socket address, or 0
	NameLen    uint32
	_          uint32
	Vectors    uint64
	VectorsLen uint64
	Control    uint64
	ControlLen uint64
	Flags      uint32
	_          uint32
}

// SetVectors makes m send the memory of v, in order.
func (m *Message) SetVectors(v []Vector) {
	m.Vectors, m.VectorsLen = address(unsafe.Pointer(unsafe.SliceData(v))), uint64(len(v))
}
