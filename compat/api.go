package compat

import (
	"io"
	"net"
	"time"

	"mobius"
)

// A Reader has what a connection has received.
type Reader interface {
	// Read copies what is there to p. Nothing there is io.ErrShortBuffer.
	io.Reader

	// WriteTo writes all that is there to w.
	io.WriterTo

	// Next returns the next n bytes and takes them off; n ≤ 0 means all. Fewer
	// there are io.ErrShortBuffer, and nothing is taken off. The bytes are lent
	// until the handler's method returns; to be kept they are copied.
	Next(n int) (buf []byte, err error)

	// Peek is Next that takes nothing off.
	Peek(n int) (buf []byte, err error)

	// Discard takes n bytes off; n ≤ 0, or more than there are, means all. It
	// returns how many.
	Discard(n int) (discarded int, err error)

	// InboundBuffered returns how many bytes are there.
	InboundBuffered() int
}

// An AsyncCallback is told how an asynchronous call went, on the connection's
// loop. The error that it returns is logged; [ErrEngineShutdown] ends the
// engine.
type AsyncCallback func(c Conn, err error) error

// A Writer sends.
type Writer interface {
	// Write queues a copy of p, sent at the end of the loop's turn with whatever
	// else was written in it. It never blocks, and takes all of p or nothing:
	// transport.ErrFull if [WithWriteLimit] would be passed, or an error that is
	// net.ErrClosed. On a datagram's Conn it sends one datagram to its sender.
	io.Writer

	// ReadFrom writes what r gives, to its end. r must not block.
	io.ReaderFrom

	// SendTo sends a datagram to addr; ErrUnsupportedOp on a stream.
	SendTo(buf []byte, addr net.Addr) (n int, err error)

	// Writev is a Write of all bs in order: all of them or nothing. On a
	// datagram's Conn they are one datagram.
	Writev(bs [][]byte) (n int, err error)

	// Flush returns net.ErrClosed if nothing can be written any more. It has
	// nothing to do: output is sent at the end of the loop's turn.
	Flush() error

	// OutboundBuffered returns how many bytes were written that the kernel has
	// not taken.
	OutboundBuffered() int

	// AsyncWrite is a Write from any goroutine; those of one goroutine keep
	// their order. Without a callback buf is copied before it returns. With one
	// buf is not copied, and is the engine's until the callback is called: with
	// nil once the kernel has taken all of it, or with what prevented that. An
	// error of AsyncWrite itself means that there will be no callback.
	AsyncWrite(buf []byte, callback AsyncCallback) (err error)

	// AsyncWritev is an AsyncWrite of all bs in order. Any goroutine.
	AsyncWritev(bs [][]byte, callback AsyncCallback) (err error)
}

// A Socket has the connection's socket options, each as of the system call.
type Socket interface {
	// Fd returns the descriptor's number, -1 if there is none: after the end, and
	// in a simulation. It stays the engine's: nothing may read from it or write to
	// it.
	Fd() int

	// Dup returns a duplicate of the descriptor, the caller's (dup(2)).
	Dup() (int, error)

	// SetReadBuffer sets SO_RCVBUF, SetWriteBuffer SO_SNDBUF (socket(7)).
	SetReadBuffer(size int) error
	SetWriteBuffer(size int) error

	// SetLinger with 0 makes Close discard what was not sent and reset the
	// connection. Others are as without it: a close delivers what was written.
	SetLinger(secs int) error

	// SetKeepAlivePeriod sets the time before the first probe and between probes
	// (TCP_KEEPIDLE, TCP_KEEPINTVL, tcp(7)).
	SetKeepAlivePeriod(d time.Duration) error

	// SetKeepAlive sets all three: the time before the first probe, that between
	// probes, and how many go unanswered before the connection is lost.
	SetKeepAlive(enabled bool, idle, intvl time.Duration, cnt int) error

	// SetNoDelay sets TCP_NODELAY, which is on if nothing is said.
	SetNoDelay(noDelay bool) error
}

// A Conn is one connection, or a peer that sends datagrams.
type Conn interface {
	Reader
	Writer
	Socket

	// Context returns what SetContext was given.
	Context() (ctx any)
	SetContext(ctx any)

	// SafeContext is the same for any goroutine; the two know nothing of each
	// other. So is SetSafeContext.
	SafeContext() (ctx any)
	SetSafeContext(ctx any)

	// EventLoop returns the connection's loop. Any goroutine.
	EventLoop() EventLoop

	// LocalAddr and RemoteAddr return a *net.TCPAddr, *net.UDPAddr or
	// *net.UnixAddr. After the end, too.
	LocalAddr() net.Addr
	RemoteAddr() net.Addr

	// Wake has OnTraffic called soon, and then callback, which may be nil. Any
	// goroutine.
	Wake(callback AsyncCallback) error

	// CloseWithCallback closes as Close does; callback is called after OnClose.
	// Any goroutine.
	CloseWithCallback(callback AsyncCallback) error

	// Close closes the connection once everything that was written before is
	// sent, by this goroutine's AsyncWrites too. Any goroutine. On the Conn of a
	// datagram that a listening engine received it does nothing.
	Close() error

	// SetDeadline sets both of the others.
	SetDeadline(t time.Time) error

	// SetReadDeadline closes the connection at t, with os.ErrDeadlineExceeded for
	// OnClose, unless it is set to something else before. The zero time means
	// none. Any goroutine.
	SetReadDeadline(t time.Time) error

	// SetWriteDeadline is the same for output: it aborts the connection at t if
	// there is something that the kernel has not taken. Any goroutine.
	SetWriteDeadline(t time.Time) error
}

// A Pausable is a Conn of a stream, which can do what gnet's cannot.
type Pausable interface {
	Conn

	// PauseReading stops OnTraffic until ResumeReading; the peer is slowed down.
	PauseReading()
	ResumeReading()

	// CloseWrite tells the peer the end of our stream after everything written
	// so far. Reading goes on.
	CloseWrite()

	// Abort closes at once with a reset; what was not sent is discarded.
	Abort()

	// Transport returns the transport that the connection is on.
	Transport() mobius.Transport
}
