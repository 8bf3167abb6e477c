package uring

import (
	"errors"
	"time"
)

// ErrUnavailable is what every error of [Open] is (errors.Is) that comes from a
// kernel, or whoever guards it, that does not let this process use io_uring as
// this package needs it. Its text says why, and what to do about it. Another backend
// should be used then.
var ErrUnavailable = errors.New("io_uring is unavailable")

// A Feature is something of io_uring that the backend uses where the kernel
// has it and can do without. Options.Without masks it, so that an older kernel can be
// played on a newer one.
type Feature string

// The features, with the kernel that brought each.
const (
	Incremental      Feature = "incremental-buffers" // 6.12: IOU_PBUF_RING_INC, many receives share one large buffer
	NoSQArray        Feature = "no-sqarray"          // 6.6: IORING_SETUP_NO_SQARRAY
	NoIOWait         Feature = "no-iowait"           // 6.15: IORING_ENTER_NO_IOWAIT, waiting is not shown as disk wait
	RegisteredRing   Feature = "registered-ring"     // 5.18: IORING_REGISTER_RING_FDS, cheaper enters
	MultishotAccept  Feature = "multishot-accept"    // 5.19: IORING_ACCEPT_MULTISHOT
	MultishotRecv    Feature = "multishot-recv"      // 6.0: IORING_RECV_MULTISHOT
	MultishotRecvmsg Feature = "multishot-recvmsg"   // 6.0: the same for datagrams; else a poll and recvmsg(2) for each
	SendVectorized   Feature = "send-vectorized"     // 6.17: IORING_SEND_VECTORIZED; else IORING_OP_SENDMSG
	SkipSuccess      Feature = "skip-success"        // 5.17: IOSQE_CQE_SKIP_SUCCESS, cancels complete only if they fail
	Splice           Feature = "splice"              // splice(2) for bulk relays; else they copy
)

// Features returns all features.
func Features() []Feature {
	return []Feature{Incremental, NoSQArray, NoIOWait, RegisteredRing, MultishotAccept, MultishotRecv, MultishotRecvmsg, SendVectorized,
		SkipSuccess, Splice}
}

// Options configure a [Backend]. The zero value of each field is its default,
// and the zero Options are what the reactor runs on.
type Options struct {
	// Entries is the size of the submission queue, by default 256; CQEntries that
	// of the completion queue, by default 4096. The kernel rounds up to powers
	// of two and cuts what is too large. Full queues cost system calls, never
	// operations.
	Entries, CQEntries int

	// Buffers and BufferSize (bytes) say what receives are lent from. By
	// default: 32 of 256 KiB where the kernel lets many receives share one, else 512 of 4 KiB,
	// 128 of 16 KiB and 64 of 64 KiB, between which a stream's recent sizes
	// choose. If either is set there is one size only.
	Buffers, BufferSize int

	// Datagrams is how many buffers RecvFroms lend from, by default 128, half of
	// which holds may keep; and DatagramSize how many bytes of a datagram each has
	// room for, by default 65535. What is longer is cut, and its Msg says so.
	Datagrams, DatagramSize int

	// Holds is how many buffers holds may keep from the kernel before the oldest
	// holds are asked back. By default half of the buffers, at least 1.
	Holds int

	// Direct is how many streams have no descriptor of the process but a place in a
	// table of the ring's own: those accepted, those that Stream makes, and those adopted,
	// once the loop runs. 0, the default, means none. So a process can have more
	// connections than RLIMIT_NOFILE lets it have descriptors, which bounds the size of each
	// ring's table, and nothing else. Nobody else pays: it needs Linux 6.13, and Open
	// answers an error where it cannot be had.
	//
	// Connections are accepted one in a turn, and as long as more than a
	// sixteenth of the places are free; the rest is for Stream, which answers ENFILE when none is left. What
	// is adopted then stays a descriptor. A place has no Number, TryWrite writes nothing to it,
	// relays copy, and what needs a descriptor for a system call (names, options, Shutdown, Reset, Detach)
	// makes one for a moment, which costs two system calls more.
	// See docs/decisions/0008-sockets-without-descriptors.md.
	Direct int

	// ZeroCopy is from how many bytes on a Send with a Pin (transport: WriteOwned,
	// from ZeroCopyFrom on) goes out without the kernel copying it, by IORING_OP_SEND_ZC. 0, the
	// default, means never. It pays for large sends through a network card, 16 KiB being a good
	// start; loopback and veth always copy, and to be asked first costs more than a copy does. A
	// stream is done with it once the kernel reports that it copied: see ZeroCopied, Copied and
	// ZeroCopyOff of proactor.Stats. It needs Linux 6.2 (or 6.1.192), and Open answers an error where it cannot
	// be had. See docs/decisions/0012-sends-without-a-copy.md.
	ZeroCopy int

	// Memory is where such sends shall come from: at most 16,384 pieces of at most 1 GiB, none of which
	// overlap, of the Go heap or mapped, but no files. The kernel looks its pages up
	// once, at Open, and keeps them until Close (IORING_REGISTER_BUFFERS), where it does so in each send
	// for any other memory. What is registered counts towards RLIMIT_MEMLOCK, once for each ring; Open
	// answers an error if that is too little. It belongs to the caller, who leaves it mapped until after Close.
	Memory [][]byte

	// Plain leaves out incremental buffers, as Without Incremental does.
	Plain bool

	// Without masks features.
	Without []Feature

	// Unrestricted leaves out the allow-list of operations that rings are limited
	// to by default (IORING_REGISTER_RESTRICTIONS).
	Unrestricted bool

	// WriteFrom is from how many bytes on a loop writes its output by a system call
	// of its own instead of an entry on the ring; by default 16384. The copying of
	// such a turn's messages throws everything else out of the processor's cache
	// before their results come back; of shorter ones the ring's batch costs no
	// more, and fewer system calls.
	WriteFrom int

	// BulkFrom is how large, in bytes, the pieces of a stream are that the loop
	// polls and reads by itself into one buffer after the other, instead of having the
	// kernel receive those of all streams first; by default 32768. That takes two system
	// calls for each, and leaves the bytes in the processor's cache, from where they are sent on. It
	// is not done with buffers of more than one size, nor with buffers less than four times
	// as large.
	BulkFrom int

	// Workers is how many goroutines run OpWorks, and WorkQueue how many of those
	// may wait for one. 0 means the defaults of 64 and 4096.
	Workers, WorkQueue int

	// Pipes is how many pipes bulk relays may have at a time, 0 meaning the default of
	// 256; further ones copy.
	Pipes int

	// Spin is for how long a loop looks for completions by itself before it sleeps in
	// the kernel. By default, 0, that is 50 µs, and only while it takes less processor time
	// for what is done than sleeping does, which the loop measures: with one client on this
	// host that answers at once a round trip takes a third of the time. A positive Spin is
	// kept whatever it costs: up to a processor for each loop. With a negative one loops sleep at once.
	Spin time.Duration

	// CloseTimeout is how long Close waits for the kernel to let go of what is in
	// flight; by default 5 s. After that it leaves the memory mapped and says so.
	CloseTimeout time.Duration

	inject injection // tests only
	fake   fakes     // tests only
}

const (
	defaultEntries      = 256
	defaultCQEntries    = 4096
	defaultCloseTimeout = 5 * time.Second
	defaultWriteFrom    = 16 << 10
	defaultBulkFrom     = 32 << 10
)

func (o Options) withDefaults() Options {
	if o.Entries <= 0 {
		o.Entries = defaultEntries
	}
	if o.CQEntries <= 0 {
		o.CQEntries = max(defaultCQEntries, 2*o.Entries)
	}
	if o.WriteFrom <= 0 {
		o.WriteFrom = defaultWriteFrom
	}
	if o.BulkFrom <= 0 {
		o.BulkFrom = defaultBulkFrom
	}
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = defaultCloseTimeout
	}
	if o.Plain {
		o.Without = append([]Feature{Incremental}, o.Without...)
	}
	return o
}
