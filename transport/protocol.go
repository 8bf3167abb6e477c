package transport

import (
	"mobius/loop"
	"mobius/proactor"
)

// A Protocol is the application's end of one connection.
//
// Its methods are called on the loop's goroutine, one at a time, in this
// order: ConnectionMade, DataReceived any number of times, ConnectionLost;
// each of the outer two exactly once. A panic in one of them is reported and
// ends this connection, and no other, with a [PanicError] as the reason.
//
// A Protocol may have further abilities: [HalfCloser], [Drainer]. They are
// found with [As], so a Protocol that wraps another says so by a method
// Unwrap() any.
type Protocol interface {
	// ConnectionMade hands over the transport. A greeting is written here.
	ConnectionMade(t Transport)

	// DataReceived delivers bytes in order, at least one, cut wherever the
	// network cut them. p is lent until DataReceived returns. It must not be
	// changed once it was given to a Write: the transport may send it from
	// where it lies.
	DataReceived(p []byte)

	// ConnectionLost is the end: err is a *[ConnError] that says of what kind.
	// The connection's descriptor is closed already. The transport's
	// addresses are still there; everything else does nothing.
	ConnectionLost(err error)
}

// A HalfCloser goes on after one direction has ended. A Protocol that is none
// has its output flushed when the peer finishes, and then loses the
// connection.
//
// Each method is called once at most. When both directions have ended,
// ConnectionLost follows without a LoseConnection. Neither is called once the
// end of the whole was decided, by LoseConnection for example.
type HalfCloser interface {
	// ReadConnectionLost says that the peer has finished writing: there will
	// be no more DataReceived. Writing goes on until LoseConnection or
	// LoseWriteConnection.
	ReadConnectionLost()

	// WriteConnectionLost says that everything written has been sent and the
	// peer been told the end, as LoseWriteConnection asked. Reading goes on.
	WriteConnectionLost()
}

// A Drainer wants to know when to stop and when to go on writing. Calls
// alternate, PauseWriting first. None comes once the close was asked for.
type Drainer interface {
	// PauseWriting is called, inside the Write that does it, when more than
	// Options.HighWater bytes are queued.
	PauseWriting()

	// ResumeWriting is called when the queue has fallen to Options.LowWater.
	ResumeWriting()
}

// A Transport is the network's end of one connection. [Conn] is the one for
// plain streams. All methods are for the loop's goroutine.
//
// No method calls ConnectionLost, DataReceived, ReadConnectionLost or
// WriteConnectionLost before it returns; only the writes may call
// PauseWriting.
type Transport interface {
	// Write queues a copy of p, to be sent at the end of the loop's turn with
	// whatever else was written in it; 16 KiB and more that a DataReceived writes may
	// be sent as soon as that returns. It never blocks. It takes all of p or
	// nothing: the error is [ErrFull] if Options.HardLimit would be passed,
	// [ErrNotWritable] after LoseConnection, LoseWriteConnection and the like.
	// Of bytes lent by the DataReceived that is running, it may keep the
	// buffer instead of copying.
	Write(p []byte) (int, error)

	// Writev is a Write of all bufs in order: all of them or nothing.
	Writev(bufs [][]byte) (int, error)

	// WriteOwned is a Write that does not copy: buf must stay as it is until
	// release is called. That happens exactly once in every case, on the
	// loop's goroutine, also if an error is returned (then before WriteOwned
	// returns). release may be nil.
	WriteOwned(buf []byte, release func()) error

	// LoseConnection closes after everything written so far was sent: the
	// peer gets every byte, then the end of the stream. Nothing more is
	// received; input that arrives is read and dropped, for at most
	// Options.CloseTimeout after the end was sent, so that it cannot make the
	// kernel reset the connection under our last bytes.
	LoseConnection()

	// LoseWriteConnection tells the peer the end of our stream after
	// everything written so far. Reading goes on; see [HalfCloser].
	LoseWriteConnection()

	// AbortConnection closes at once: output that was not sent is discarded
	// and the peer gets a reset. ConnectionLost comes later, not inside
	// this call.
	AbortConnection()

	// CloseWithError is LoseConnection with err as the reason that
	// ConnectionLost is given, as Kind Failed. A nil err makes it
	// LoseConnection.
	CloseWithError(err error)

	// PauseReading stops DataReceived until ResumeReading; the last of both
	// counts. What is already under way is kept and delivered after the
	// resume, in order, the peer's end after it. The peer is slowed down by
	// its own full socket. A reset of the idle connection is still noticed.
	PauseReading()
	ResumeReading()

	// Detach gives the connection away: reading stops, output is flushed (no
	// longer than Options.CloseTimeout without progress), ConnectionLost is
	// called with Kind Detached, and then done gets the handle and what was
	// received but not delivered, both its own now. If the connection ends
	// before that, done gets the *ConnError instead. done is called exactly
	// once, never inside Detach, unless Detach returns an error:
	// [ErrNotWritable], if the writing side is not open.
	Detach(done func(h proactor.Handle, unread []byte, err error)) error

	// LocalAddr and RemoteAddr are valid for ever, after the loss too.
	LocalAddr() proactor.Address
	RemoteAddr() proactor.Address

	// Handle returns the handle, for socket options; it names nothing after
	// the loss. Loop returns the loop that the connection lives on.
	Handle() proactor.Handle
	Loop() *loop.Loop
}

// A Queuer tells how full a transport's output is, for those who must know
// before they write: it is an ability of Transports.
type Queuer interface {
	// Queued returns how many bytes were written but not yet taken by the
	// kernel; Room how many more a Write takes before it returns ErrFull, 0 if
	// writes are refused.
	Queued() int
	Room() int
}

// As finds the ability T of x: x itself if it has it, or else what x wraps,
// as its method Unwrap() any tells, and so on down.
func As[T any](x any) (T, bool) {
	for x != nil {
		if t, ok := x.(T); ok {
			return t, true
		}
		u, ok := x.(interface{ Unwrap() any })
		if !ok {
			break
		}
		x = u.Unwrap()
	}
	var none T
	return none, false
}
