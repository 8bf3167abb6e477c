package proactor

// A Msg is what travels beside the bytes of a datagram, or of a unix stream.
// The owner keeps it unchanged while the op that names it is active.
type Msg struct {
	// Control is ancillary data in the kernel's cmsg(3) form. SendTo and Send:
	// what to send. RecvFrom and Recv: what came, lent like the bytes.
	Control []byte

	// Truncated is a result of RecvFrom: the datagram, or its control data,
	// was longer than the buffer. What did not fit is lost (recvmsg(2)).
	Truncated bool

	// SegmentSize cuts a SendTo's bytes into datagrams of this many bytes, the
	// last one shorter (UDP_SEGMENT). As a result of RecvFrom it says that the
	// bytes are several datagrams of this size (UDP_GRO). 0 means one datagram.
	SegmentSize int

	// Files are descriptors that travel with the bytes (SCM_RIGHTS, unix(7)).
	// Send: duplicated when the op is submitted, so the owner may close its own
	// at once. Recv: CLOEXEC, the owner's from Complete on; those that are
	// never delivered to an owner the backend closes.
	Files []int
}
