package proactor

import (
	"context"
	"net/netip"
	"syscall"
	"time"
)

// Sockets makes, configures and closes handles, without an Op and without
// blocking (LookupHost excepted). All but LookupHost, Number, Duplicate
// and Discard are for the loop's goroutine, or for any before the first Poll.
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

	// Packet returns a datagram socket, UDP or unix, bound to local, and the
	// address it has. A unix socket whose local has no path stays unbound. A
	// wildcard takes both families, as with Listen; so does the rule about stale
	// socket files. With o.ReusePort several sockets share a port, and each gets a
	// copy of every multicast datagram. An OpConnect then chooses one peer for
	// sending and receiving; a unix socket may have SendTo without Addr only then.
	// o may be nil.
	Packet(local Address, o *SocketOptions) (Handle, Address, error)

	// Names returns a socket's own address and its peer's. The peer's is
	// invalid for sockets without one.
	Names(h Handle) (local, remote Address, err error)

	// SetOptions applies those of o that can be changed on a live socket: all
	// but Local, Backlog, ReusePort, Mode, FreeBind and V6Only. Zero values change
	// nothing. Options that the system does not have are ErrUnsupported.
	SetOptions(h Handle, o *SocketOptions) error

	// Options reads back what the kernel has (getsockopt(2)) of what SetOptions
	// can set. Buffer sizes are the kernel's, which may be twice what was asked
	// for (socket(7)); options that the socket or the system does not have stay
	// zero.
	Options(h Handle) (SocketOptions, error)

	// Join makes a datagram socket a member of a multicast group, Leave ends
	// that. The group's family must be the socket's, or IPv4 on one that takes
	// both: EADDRNOTAVAIL and EAFNOSUPPORT are typical errors, EINVAL that of a
	// group that is none.
	Join(h Handle, m Membership) error
	Leave(h Handle, m Membership) error

	// PeerCredentials says who made the other end of a unix stream, as of its
	// connect(2) or listen(2) (SO_PEERCRED, unix(7)). EOPNOTSUPP for others.
	PeerCredentials(h Handle) (Credentials, error)

	// Shutdown ends the writing side: the peer sees the end of the stream
	// after all bytes sent before (shutdown(2), SHUT_WR).
	Shutdown(h Handle) error

	// Reset makes the coming CloseFD abort the connection: what was not sent
	// is discarded and the peer gets an RST (SO_LINGER 0). No effect on unix
	// sockets. A connection on which a pin is outstanding, which would keep it from being
	// closed, is aborted at once.
	Reset(h Handle) error

	// Refuse accepts up to max pending connections of a listener and resets
	// them, by means of a descriptor kept in reserve, for when the process has
	// none left. It returns how many it refused; 0 and nil if none was pending,
	// EINVAL if it is no listener.
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

	// Number returns the number of h's descriptor, which stays the backend's:
	// for system calls that this interface does not have. It is another's once h
	// is closed or detached, so the caller sees to it that this does not happen
	// meanwhile. ErrUnsupported where there are no numbers (sim, streams in a
	// ring's table). Any goroutine.
	Number(h Handle) (int, error)

	// Duplicate returns a descriptor more of what fd is, CLOEXEC, the caller's
	// (dup(2)).
	Duplicate(fd int) (int, error)

	// Discard closes a descriptor that is the caller's, by Detach or in a
	// Recv's Files, and that nobody adopts.
	Discard(fd int) error

	// Spawn starts a child process. The Child handle completes an OpChild; the
	// pipes are handles of the parent's ends: that of c.PTY first, if it is set,
	// then in the order of c.Pipes. That the program could not be executed is an
	// error (ENOENT, EACCES, ENOEXEC, …), and so is a bad Dir, User or descriptor;
	// then nothing is left behind. No signal handler is installed.
	//
	// Closing the child's handle before an OpChild has completed leaves the child
	// alone: it lives on, and leaves no zombie (wait(2)), but nobody is told of its
	// end. On real backends a goroutine waits for that.
	Spawn(c *Command) (child Handle, pipes []Handle, err error)

	// Signal sends a signal to a child (kill(2)); signal 0 only asks whether
	// there is somebody to send to. ESRCH once it has ended: the number may be
	// another process's by then, which is not touched.
	Signal(child Handle, signal syscall.Signal) error

	// ProcessID returns the number of a child, for people and logs; ESRCH once
	// an OpChild has completed.
	ProcessID(child Handle) (int, error)

	// LookupHost returns the addresses of a host name. It blocks: call it
	// inside a Work.
	LookupHost(ctx context.Context, host string) ([]netip.Addr, error)
}

// A Switch is an option that is on or off. The zero value leaves it as the
// system has it.
type Switch uint8

// The positions of a Switch.
const (
	Unset Switch = iota
	On
	Off
)

// SocketOptions configure a socket. The zero value is the default of every
// field. Options of a listener are inherited by what it accepts.
type SocketOptions struct {
	Local     Address // bind a Stream socket to this
	Backlog   int     // Listen: pending connections; default 4096, cut by the kernel's somaxconn
	ReusePort bool    // Listen, Packet: share the port with other sockets of this user that say so (SO_REUSEPORT)
	Mode      uint32  // Listen, Packet, unix: permission bits of the file, set before others can connect; default 0666 less umask
	FreeBind  bool    // bind to an address that this host does not have, or not yet (IP_FREEBIND, ip(7))
	V6Only    Switch  // an IPv6 socket takes IPv6 only (IPV6_V6ONLY, ipv6(7)); default: off for the wildcard, else on

	Control Controller // Stream, Listen, Packet: has a say before the socket is bound

	Delay             Switch        // TCP: Nagle's algorithm (TCP_NODELAY is off while this is on); default off
	KeepAlive         time.Duration // TCP: idle time before the first probe; default 15 s, negative: off (TCP_KEEPIDLE)
	KeepAliveInterval time.Duration // TCP: time between probes; default: KeepAlive (TCP_KEEPINTVL)
	KeepAliveCount    int           // TCP: unanswered probes that end it; 0: the kernel's (TCP_KEEPCNT)
	UserTimeout       time.Duration // TCP_USER_TIMEOUT: how long sent data may stay unacknowledged; 0: the kernel's
	NotSentLowat      int           // TCP_NOTSENT_LOWAT: unsent bytes from which on it is not writable; 0: the kernel's
	SendBuffer        int           // SO_SNDBUF, bytes; 0: the kernel's, which tunes itself
	RecvBuffer        int           // SO_RCVBUF, bytes; 0: the kernel's, which tunes itself

	TTL       int    // UDP: time to live, hop limit, of what is sent to one host; 0: the kernel's
	Broadcast Switch // UDP: may send to broadcast addresses (SO_BROADCAST); default off

	// Multicast, as it is sent. The interface is its name, its index in digits,
	// or one of its IP addresses; "" leaves the choice to the routing table.
	// Options reads it back as an index, or as an address where that is all the
	// system knows.
	MulticastTTL       int    // default 1: the local network; negative: 0, this host
	MulticastLoop      Switch // sockets of this host get copies, too; default on
	MulticastInterface string

	// What RecvFrom tells in Msg, where it has one, and Recv on unix streams.
	RecvTrafficClass Switch // Info.TrafficClass: ECN and DSCP (IP_RECVTOS, IPV6_RECVTCLASS)
	RecvTTL          Switch // Info.TTL (IP_RECVTTL, IPV6_RECVHOPLIMIT)
	RecvLocal        Switch // Info.Local and Info.Interface (IP_PKTINFO, IPV6_RECVPKTINFO)
	RecvCredentials  Switch // unix: Info.Credentials (SO_PASSCRED)
	SegmentedReceive Switch // several datagrams of one sender come as one: Msg.SegmentSize (UDP_GRO, Linux 5.0); see ErrSegments
}

// A Controller sets options that SocketOptions does not have.
type Controller interface {
	// Control is called with the number of a descriptor that was just made,
	// before it is bound. An error of it is that of whoever makes the socket. It
	// must not block, nor close the descriptor. Where there are no numbers (sim) it
	// is not called: there the error is ErrUnsupported. Loop goroutine.
	Control(fd int) error
}

// A Membership is what Join joins.
type Membership struct {
	Group     netip.Addr // a multicast address
	Source    netip.Addr // if valid, only what this host sends is wanted (RFC 4607)
	Interface string     // as SocketOptions.MulticastInterface; a zone of Group counts as well
}

// A Command says what Spawn starts. The child has the descriptors that Pipes,
// Files and PTY name, and no others; their numbers must be less than 1024 and
// differ (EINVAL).
type Command struct {
	Path  string   // of the program; it is not searched for
	Args  []string // with the name at index 0
	Env   []string // the whole environment, NAME=value; nil: none
	Dir   string   // where the child starts; "": here
	Pipes []ChildPipe
	Files []ChildFile

	// PTY makes a new pseudo-terminal (pty(7)) the child's controlling terminal
	// and its descriptors 0, 1 and 2; it implies Setsid. The parent's end is one
	// handle for reading and writing; reading it ends with EIO once the child's
	// end is closed.
	PTY bool

	Setsid  bool  // the child leads a new session (setsid(2)): signals of our terminal do not reach it
	Setctty bool  // descriptor 0 becomes its controlling terminal; needs Setsid
	User    *User // whom it runs as, if not as this process
}

// A ChildPipe is one pipe between parent and child.
type ChildPipe struct {
	FD    int  // the descriptor's number in the child
	Write bool // the parent writes, the child reads
}

// A ChildFile is a descriptor that the child inherits.
type ChildFile struct {
	FD     int // its number in the child
	Parent int // its number here; it stays the caller's, whether Spawn succeeds or not
}

// A User is whom a child runs as; becoming another one needs privilege (EPERM).
type User struct {
	UID, GID uint32
	Groups   []uint32 // supplementary groups; nil: none
}
