package proactor

import (
	"context"
	"net/netip"
	"time"
)

// Sockets makes, configures and closes handles, without an Op and without
// blocking (LookupHost excepted). All but LookupHost are for the loop's
// goroutine, or for any before the first Poll.
type Sockets interface {
	// Stream returns a stream socket that may Connect to an address of
	// remote's network, bound to o.Local if that is valid. o may be nil.
	Stream(remote Address, o *SocketOptions) (Handle, error)

	// Listen returns a listening socket and the address it is bound to, with
	// the port that the kernel chose if local's was 0. A busy port is always an
	// error, also with o.ReusePort if somebody without that option has it. A
	// stale unix socket file (nobody answers) is replaced; anything else at
	// that path is an error. o may be nil.
	Listen(local Address, o *SocketOptions) (Handle, Address, error)

	// Packet returns a datagram socket bound to local. o may be nil.
	Packet(local Address, o *SocketOptions) (Handle, Address, error)

	// Names returns a socket's own address and its peer's. The peer's is
	// invalid for sockets without one.
	Names(h Handle) (local, remote Address, err error)

	// SetOptions applies those of o that can be changed on a live socket: all
	// but Local, Backlog, ReusePort and Mode. Zero values change nothing.
	SetOptions(h Handle, o *SocketOptions) error

	// Shutdown ends the writing side: the peer sees the end of the stream
	// after all bytes sent before (shutdown(2), SHUT_WR).
	Shutdown(h Handle) error

	// Reset makes the coming CloseFD abort the connection: what was not sent
	// is discarded and the peer gets an RST (SO_LINGER 0). No effect on unix
	// sockets.
	Reset(h Handle) error

	// Refuse accepts up to max pending connections of a listener and resets
	// them, by means of a descriptor kept in reserve, for when the process has
	// none left. It returns how many it refused; 0 and nil if none was pending.
	Refuse(listener Handle, max int) (int, error)

	// CloseFD closes h and ends its generation; ErrBusy while an op is active
	// on it, ErrClosed if h is stale. It removes the file of a unix listener
	// that Listen created, if the file is still that one.
	CloseFD(h Handle) error

	// Adopt takes over a descriptor: a stream socket, a listener, a datagram
	// socket, or anything that can be polled. On success the number is the
	// backend's to close; on error it stays the caller's.
	Adopt(fd int) (Handle, error)

	// Detach gives up h and returns its descriptor, O_NONBLOCK and CLOEXEC,
	// now the caller's. ErrBusy while an op is active on it. A handle of one
	// backend moves to another by Detach and Adopt.
	Detach(h Handle) (int, error)

	// Discard closes a descriptor that is the caller's, by Detach or in a
	// Recv's Files, and that nobody adopts.
	Discard(fd int) error

	// Spawn starts a child process. The Child handle completes an OpChild; the
	// pipes are handles of the parent's ends, in the order of c.Pipes.
	Spawn(c *Command) (child Handle, pipes []Handle, err error)

	// LookupHost returns the addresses of a host name. It blocks: call it
	// inside a Work.
	LookupHost(ctx context.Context, host string) ([]netip.Addr, error)
}

// SocketOptions configure a socket. The zero value is the default of every
// field. Options of a listener are inherited by what it accepts.
type SocketOptions struct {
	Local     Address // bind a Stream socket to this
	Backlog   int     // Listen: pending connections; default 4096, cut by the kernel's somaxconn
	ReusePort bool    // Listen: share the port with other sockets of this user that say so (SO_REUSEPORT)
	Mode      uint32  // Listen, unix: permission bits of the socket file, set before others can connect; default 0666 less umask

	Delay       bool          // TCP: leave Nagle's algorithm on (TCP_NODELAY off)
	KeepAlive   time.Duration // TCP: idle time before and between probes; default 15 s, negative: off
	UserTimeout time.Duration // TCP_USER_TIMEOUT: how long sent data may stay unacknowledged; 0: the kernel's
	SendBuffer  int           // SO_SNDBUF, bytes; 0: the kernel's, which tunes itself
	RecvBuffer  int           // SO_RCVBUF, bytes; 0: the kernel's, which tunes itself
}

// A Command says what Spawn starts.
type Command struct {
	Path  string
	Args  []string // with the name at index 0
	Env   []string
	Dir   string
	Pipes []ChildPipe // descriptors of the child that are pipes to the parent
}

// A ChildPipe is one pipe between parent and child.
type ChildPipe struct {
	FD    int  // the descriptor's number in the child
	Write bool // the parent writes, the child reads
}
