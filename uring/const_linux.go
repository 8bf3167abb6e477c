//go:build linux && (amd64 || arm64)

package uring

// Flags of io_uring_setup(2).
const (
	IORING_SETUP_IOPOLL             = 1 << 0
	IORING_SETUP_SQPOLL             = 1 << 1
	IORING_SETUP_SQ_AFF             = 1 << 2
	IORING_SETUP_CQSIZE             = 1 << 3 // the caller says how large the CQ is
	IORING_SETUP_CLAMP              = 1 << 4 // cut sizes that are too large
	IORING_SETUP_ATTACH_WQ          = 1 << 5
	IORING_SETUP_R_DISABLED         = 1 << 6  // start disabled, until [Ring.Enable]
	IORING_SETUP_SUBMIT_ALL         = 1 << 7  // 5.18: go on after a bad entry
	IORING_SETUP_COOP_TASKRUN       = 1 << 8  // 5.19
	IORING_SETUP_TASKRUN_FLAG       = 1 << 9  // 5.19: IORING_SQ_TASKRUN tells of work waiting
	IORING_SETUP_SQE128             = 1 << 10 // not supported by this package
	IORING_SETUP_CQE32              = 1 << 11 // not supported by this package
	IORING_SETUP_SINGLE_ISSUER      = 1 << 12 // 6.0: one thread submits
	IORING_SETUP_DEFER_TASKRUN      = 1 << 13 // 6.1: completions run inside enter only
	IORING_SETUP_NO_MMAP            = 1 << 14 // not supported by this package
	IORING_SETUP_REGISTERED_FD_ONLY = 1 << 15 // not supported by this package
	IORING_SETUP_NO_SQARRAY         = 1 << 16 // 6.6: no indirection between SQ and entries
)

// Features of a ring, as io_uring_setup(2) reports them.
const (
	IORING_FEAT_SINGLE_MMAP     = 1 << 0
	IORING_FEAT_NODROP          = 1 << 1
	IORING_FEAT_SUBMIT_STABLE   = 1 << 2
	IORING_FEAT_RW_CUR_POS      = 1 << 3
	IORING_FEAT_CUR_PERSONALITY = 1 << 4
	IORING_FEAT_FAST_POLL       = 1 << 5
	IORING_FEAT_POLL_32BITS     = 1 << 6
	IORING_FEAT_SQPOLL_NONFIXED = 1 << 7
	IORING_FEAT_EXT_ARG         = 1 << 8
	IORING_FEAT_NATIVE_WORKERS  = 1 << 9
	IORING_FEAT_RSRC_TAGS       = 1 << 10
	IORING_FEAT_CQE_SKIP        = 1 << 11
	IORING_FEAT_LINKED_FILE     = 1 << 12
	IORING_FEAT_REG_REG_RING    = 1 << 13
	IORING_FEAT_RECVSEND_BUNDLE = 1 << 14
	IORING_FEAT_MIN_TIMEOUT     = 1 << 15
	IORING_FEAT_RW_ATTR         = 1 << 16
	IORING_FEAT_NO_IOWAIT       = 1 << 17
)

// Offsets of what is mapped, flags of the rings, flags of io_uring_enter(2).
const (
	IORING_OFF_SQ_RING = 0
	IORING_OFF_CQ_RING = 0x8000000
	IORING_OFF_SQES    = 0x10000000

	IORING_SQ_NEED_WAKEUP = 1 << 0
	IORING_SQ_CQ_OVERFLOW = 1 << 1 // completions wait inside the kernel for room in the CQ
	IORING_SQ_TASKRUN     = 1 << 2 // an enter would complete something

	IORING_ENTER_GETEVENTS       = 1 << 0
	IORING_ENTER_SQ_WAKEUP       = 1 << 1
	IORING_ENTER_SQ_WAIT         = 1 << 2
	IORING_ENTER_EXT_ARG         = 1 << 3
	IORING_ENTER_REGISTERED_RING = 1 << 4
	IORING_ENTER_ABS_TIMER       = 1 << 5
	IORING_ENTER_EXT_ARG_REG     = 1 << 6
	IORING_ENTER_NO_IOWAIT       = 1 << 7 // 6.15: the wait does not count as waiting for a disk
)

// Operations that this package prepares, and a few that it names in reports.
const (
	IORING_OP_NOP          = 0
	IORING_OP_POLL_ADD     = 6
	IORING_OP_POLL_REMOVE  = 7
	IORING_OP_SENDMSG      = 9
	IORING_OP_RECVMSG      = 10
	IORING_OP_TIMEOUT      = 11
	IORING_OP_ACCEPT       = 13
	IORING_OP_ASYNC_CANCEL = 14
	IORING_OP_LINK_TIMEOUT = 15
	IORING_OP_CONNECT      = 16
	IORING_OP_CLOSE        = 19
	IORING_OP_READ         = 22
	IORING_OP_WRITE        = 23
	IORING_OP_SEND         = 26
	IORING_OP_RECV         = 27
	IORING_OP_SPLICE       = 30
	IORING_OP_SHUTDOWN     = 34
	IORING_OP_MSG_RING     = 40
	IORING_OP_SOCKET       = 45
	IORING_OP_URING_CMD    = 46
	IORING_OP_SEND_ZC      = 47
	IORING_OP_SENDMSG_ZC   = 48

	IORING_OP_FIXED_FD_INSTALL = 54 // 6.8
)

// Flags of an [SQE], and of its operations.
const (
	IOSQE_FIXED_FILE       = 1 << 0
	IOSQE_IO_DRAIN         = 1 << 1
	IOSQE_IO_LINK          = 1 << 2
	IOSQE_IO_HARDLINK      = 1 << 3
	IOSQE_ASYNC            = 1 << 4
	IOSQE_BUFFER_SELECT    = 1 << 5 // take a provided buffer
	IOSQE_CQE_SKIP_SUCCESS = 1 << 6 // no completion if it succeeds

	IORING_RECVSEND_POLL_FIRST  = 1 << 0
	IORING_RECV_MULTISHOT       = 1 << 1 // 6.0
	IORING_RECVSEND_FIXED_BUF   = 1 << 2
	IORING_SEND_ZC_REPORT_USAGE = 1 << 3 // 6.2: the notification says whether the kernel copied
	IORING_RECVSEND_BUNDLE      = 1 << 4
	IORING_SEND_VECTORIZED      = 1 << 5 // 6.17

	IORING_ACCEPT_MULTISHOT  = 1 << 0 // 5.19
	IORING_ACCEPT_DONTWAIT   = 1 << 1
	IORING_ACCEPT_POLL_FIRST = 1 << 2

	IORING_POLL_ADD_MULTI = 1 << 0

	IORING_ASYNC_CANCEL_ALL      = 1 << 0
	IORING_ASYNC_CANCEL_FD       = 1 << 1
	IORING_ASYNC_CANCEL_ANY      = 1 << 2
	IORING_ASYNC_CANCEL_USERDATA = 1 << 4
)

// Flags of a [CQE].
const (
	IORING_CQE_F_BUFFER        = 1 << 0 // the upper 16 bits are a buffer id
	IORING_CQE_F_MORE          = 1 << 1 // the submission will complete again
	IORING_CQE_F_SOCK_NONEMPTY = 1 << 2
	IORING_CQE_F_NOTIF         = 1 << 3
	IORING_CQE_F_BUF_MORE      = 1 << 4 // 6.12: the buffer has room left and stays the kernel's

	IORING_CQE_BUFFER_SHIFT = 16

	IORING_NOTIF_USAGE_ZC_COPIED = 1 << 31 // Res of a notification: the kernel copied, or used none of the memory
)

// Operations of io_uring_register(2).
const (
	IORING_REGISTER_BUFFERS      = 0
	IORING_UNREGISTER_BUFFERS    = 1
	IORING_REGISTER_FILES_UPDATE = 6
	IORING_REGISTER_PROBE        = 8
	IORING_REGISTER_RESTRICTIONS = 11
	IORING_REGISTER_ENABLE_RINGS = 12
	IORING_REGISTER_FILES2       = 13
	IORING_REGISTER_RING_FDS     = 20
	IORING_UNREGISTER_RING_FDS   = 21
	IORING_REGISTER_PBUF_RING    = 22
	IORING_UNREGISTER_PBUF_RING  = 23
	IORING_REGISTER_SYNC_CANCEL  = 24

	IORING_RSRC_REGISTER_SPARSE = 1 << 0 // 5.19: a table without files yet

	IO_URING_OP_SUPPORTED = 1 << 0

	IORING_RESTRICTION_REGISTER_OP = 0
	IORING_RESTRICTION_SQE_OP      = 1

	IORING_RESTRICTION_SQE_FLAGS_ALLOWED  = 2
	IORING_RESTRICTION_SQE_FLAGS_REQUIRED = 3

	IOU_PBUF_RING_MMAP = 1
	IOU_PBUF_RING_INC  = 2 // 6.12: receives append to a buffer until it is full
)
