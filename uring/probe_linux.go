//go:build linux && (amd64 || arm64)

package uring

import (
	"fmt"
	"math/bits"
	"strings"

	"golang.org/x/sys/unix"
)

// Probe reports what the kernel lets this process do with io_uring, what a
// backend with the default options uses of it, and why not more. It opens a
// ring for that, and closes it.
func Probe() Report {
	var u unix.Utsname
	r := Report{Restricted: true}
	if unix.Uname(&u) == nil {
		r.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	c, err := examine(Options{}.withDefaults())
	r.Setup, r.Ring = setupNames(c.setup), featureNames(c.features)
	if c.ops != nil {
		r.Operations, r.Missing = opNames(c.ops), missingOps(c.ops)
		r.Choices = c.list()
	}
	if _, e := examine(Options{Direct: 1}.withDefaults()); e != nil {
		r.Direct = e.Error()
	}
	if _, e := examine(Options{ZeroCopy: 1}.withDefaults()); e != nil {
		r.ZeroCopy = e.Error()
	}
	if err == nil {
		var b *Backend
		if b, err = Open(Options{}); err == nil {
			r.Buffers = b.describePools()
			err = b.Close()
		}
	}
	if err != nil {
		r.Why = err.Error()
		return r
	}
	r.Available = true
	return r
}

func (b *Backend) describePools() string {
	var parts []string
	for _, p := range b.pools {
		parts = append(parts, fmt.Sprintf("%d of %d KiB", len(p.buffers), p.size>>10))
	}
	how := "one message each, chosen by a stream's recent sizes"
	if b.choice.incremental {
		how = "each filled by many receives"
	}
	return strings.Join(parts, ", ") + ", " + how
}

// bitNames returns the names of the bits of v, a number for those without.
func bitNames(v uint32, names []string) (out []string) {
	for ; v != 0; v &= v - 1 {
		i := bits.TrailingZeros32(v)
		if i < len(names) {
			out = append(out, names[i])
		} else {
			out = append(out, fmt.Sprintf("bit %d", i))
		}
	}
	return out
}

func setupNames(v uint32) []string {
	return bitNames(v, []string{"IOPOLL", "SQPOLL", "SQ_AFF", "CQSIZE", "CLAMP", "ATTACH_WQ", "R_DISABLED", "SUBMIT_ALL",
		"COOP_TASKRUN", "TASKRUN_FLAG", "SQE128", "CQE32", "SINGLE_ISSUER", "DEFER_TASKRUN", "NO_MMAP", "REGISTERED_FD_ONLY",
		"NO_SQARRAY"})
}

func featureNames(v uint32) []string {
	return bitNames(v, []string{"SINGLE_MMAP", "NODROP", "SUBMIT_STABLE", "RW_CUR_POS", "CUR_PERSONALITY", "FAST_POLL",
		"POLL_32BITS", "SQPOLL_NONFIXED", "EXT_ARG", "NATIVE_WORKERS", "RSRC_TAGS", "CQE_SKIP", "LINKED_FILE", "REG_REG_RING",
		"RECVSEND_BUNDLE", "MIN_TIMEOUT", "RW_ATTR", "NO_IOWAIT"})
}

func opNames(known *Ops) (out []string) {
	for _, op := range []struct {
		code uint8
		name string
	}{
		{IORING_OP_NOP, "NOP"}, {IORING_OP_POLL_ADD, "POLL_ADD"}, {IORING_OP_SENDMSG, "SENDMSG"}, {IORING_OP_RECVMSG, "RECVMSG"},
		{IORING_OP_ACCEPT, "ACCEPT"}, {IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL"}, {IORING_OP_CONNECT, "CONNECT"},
		{IORING_OP_READ, "READ"}, {IORING_OP_WRITE, "WRITE"}, {IORING_OP_SEND, "SEND"}, {IORING_OP_RECV, "RECV"},
		{IORING_OP_MSG_RING, "MSG_RING"}, {IORING_OP_SOCKET, "SOCKET"}, {IORING_OP_URING_CMD, "URING_CMD"},
		{IORING_OP_SEND_ZC, "SEND_ZC"}, {IORING_OP_SENDMSG_ZC, "SENDMSG_ZC"},
	} {
		if known[op.code] {
			out = append(out, op.name)
		}
	}
	return out
}
