//go:build linux && (amd64 || arm64)

package uring

import "slices"

// A need is what one part of the backend asks of a ring. The table below is the one
// place that says so: the check that the kernel knows an operation, and the
// allow-list of a restricted ring, are made from it.
type need struct {
	what     string
	feature  Feature // the part exists only with this feature; "" if always
	ops      []uint8 // IORING_OP_…
	flags    uint8   // IOSQE_…
	register []uint8 // IORING_REGISTER_…, once the ring is enabled
}

// directFiles is what Options.Direct needs; it is no Feature that is used by
// itself.
const directFiles Feature = "direct"

// zeroCopySends is what Options.ZeroCopy needs, in the same way.
const zeroCopySends Feature = "zero-copy"

var needs = []need{
	{what: "accept", ops: []uint8{IORING_OP_ACCEPT}},
	{what: "connect", ops: []uint8{IORING_OP_CONNECT}},
	{what: "receive into lent buffers", ops: []uint8{IORING_OP_RECV}, flags: IOSQE_BUFFER_SELECT,
		register: []uint8{IORING_UNREGISTER_PBUF_RING}},
	{what: "receive datagrams into lent buffers", feature: MultishotRecvmsg, ops: []uint8{IORING_OP_RECVMSG},
		flags: IOSQE_BUFFER_SELECT, register: []uint8{IORING_UNREGISTER_PBUF_RING}},
	{what: "send", ops: []uint8{IORING_OP_SEND, IORING_OP_SENDMSG}},
	{what: "rest before a send", ops: []uint8{IORING_OP_TIMEOUT}},
	{what: "cancel", ops: []uint8{IORING_OP_ASYNC_CANCEL}},
	{what: "wake and readiness", ops: []uint8{IORING_OP_POLL_ADD}},
	{what: "cancel without a completion", feature: SkipSuccess, flags: IOSQE_CQE_SKIP_SUCCESS},
	{what: "sockets in the ring's table", feature: directFiles, ops: []uint8{IORING_OP_FIXED_FD_INSTALL}, flags: IOSQE_FIXED_FILE,
		register: []uint8{IORING_REGISTER_FILES_UPDATE}},
	{what: "send without a copy", feature: zeroCopySends, ops: []uint8{IORING_OP_SEND_ZC}, register: []uint8{IORING_UNREGISTER_BUFFERS}},
	{what: "registered ring", feature: RegisteredRing,
		register: []uint8{IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS}},
}

// allowList makes the restrictions of a ring that has all features but those
// masked.
func allowList(without []Feature) []Restriction {
	var list []Restriction
	allow := func(kind uint16, what uint8) {
		r := Restriction{Opcode: kind, Allow: what}
		if !slices.Contains(list, r) {
			list = append(list, r)
		}
	}
	var flags uint8
	for _, n := range needs {
		if slices.Contains(without, n.feature) {
			continue
		}
		flags |= n.flags
		for _, op := range n.ops {
			allow(IORING_RESTRICTION_SQE_OP, op)
		}
		for _, op := range n.register {
			allow(IORING_RESTRICTION_REGISTER_OP, op)
		}
	}
	allow(IORING_RESTRICTION_SQE_FLAGS_ALLOWED, flags)
	return list
}

// missingOps returns what the kernel cannot do for want of an operation.
func missingOps(known *Ops) (missing []string) {
	for _, n := range needs {
		if n.feature == "" && slices.ContainsFunc(n.ops, func(op uint8) bool { return !known[op] }) {
			missing = append(missing, n.what)
		}
	}
	return missing
}
