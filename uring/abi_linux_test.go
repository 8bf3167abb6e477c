//go:build linux && (amd64 || arm64)

package uring

import (
	"testing"
	"unsafe"
)

// The figures are those of pahole on the kernel's structs (uapi/linux/io_uring.h).
func TestABISizesAndOffsets(t *testing.T) {
	var (
		e SQE
		c CQE
		p params
		b buf
		g bufReg
		a geteventsArg
		r Restriction
		m Message
		v Vector
		o probe
		s sqringOffsets
		q cqringOffsets
		u rsrcUpdate
	)
	for _, x := range []struct {
		what      string
		got, want uintptr
	}{
		{"io_uring_sqe", unsafe.Sizeof(e), 64},
		{"sqe.fd", unsafe.Offsetof(e.Fd), 4},
		{"sqe.off", unsafe.Offsetof(e.Off), 8},
		{"sqe.addr", unsafe.Offsetof(e.Addr), 16},
		{"sqe.len", unsafe.Offsetof(e.Len), 24},
		{"sqe.msg_flags", unsafe.Offsetof(e.OpFlags), 28},
		{"sqe.user_data", unsafe.Offsetof(e.UserData), 32},
		{"sqe.buf_group", unsafe.Offsetof(e.BufIndex), 40},
		{"sqe.personality", unsafe.Offsetof(e.Personality), 42},
		{"sqe.file_index", unsafe.Offsetof(e.FileIndex), 44},
		{"sqe.addr3", unsafe.Offsetof(e.Addr3), 48},
		{"io_uring_cqe", unsafe.Sizeof(c), 16},
		{"cqe.res", unsafe.Offsetof(c.Res), 8},
		{"cqe.flags", unsafe.Offsetof(c.Flags), 12},
		{"io_uring_params", unsafe.Sizeof(p), 120},
		{"params.features", unsafe.Offsetof(p.features), 20},
		{"params.sq_off", unsafe.Offsetof(p.sqOff), 40},
		{"params.cq_off", unsafe.Offsetof(p.cqOff), 80},
		{"io_sqring_offsets", unsafe.Sizeof(s), 40},
		{"sq_off.array", unsafe.Offsetof(s.array), 24},
		{"io_cqring_offsets", unsafe.Sizeof(q), 40},
		{"cq_off.cqes", unsafe.Offsetof(q.cqes), 20},
		{"io_uring_buf", unsafe.Sizeof(b), 16},
		{"buf.bid", unsafe.Offsetof(b.bid), 12},
		{"buf_ring.tail", unsafe.Offsetof(b.resv), 14},
		{"io_uring_buf_reg", unsafe.Sizeof(g), 40},
		{"buf_reg.flags", unsafe.Offsetof(g.flags), 14},
		{"io_uring_getevents_arg", unsafe.Sizeof(a), 24},
		{"getevents_arg.ts", unsafe.Offsetof(a.ts), 16},
		{"__kernel_timespec", unsafe.Sizeof(timespec{}), 16},
		{"io_uring_restriction", unsafe.Sizeof(r), 16},
		{"restriction.register_op", unsafe.Offsetof(r.Allow), 2},
		{"io_uring_probe", unsafe.Sizeof(o), 16 + 256*8},
		{"probe.ops", unsafe.Offsetof(o.ops), 16},
		{"io_uring_probe_op", unsafe.Sizeof(probeOp{}), 8},
		{"io_uring_rsrc_update", unsafe.Sizeof(u), 16},
		{"rsrc_update.data", unsafe.Offsetof(u.data), 8},
		{"user_msghdr", unsafe.Sizeof(m), 56},
		{"msghdr.msg_iov", unsafe.Offsetof(m.Vectors), 16},
		{"msghdr.msg_control", unsafe.Offsetof(m.Control), 32},
		{"iovec", unsafe.Sizeof(v), 16},
	} {
		if x.got != x.want {
			t.Errorf("%s is %d, want %d", x.what, x.got, x.want)
		}
	}
}
