package proactor

import "sync/atomic"

// A Relay is what an OpRelay needs beyond its Op: the bytes that arrive on
// op.Handle go to Dst until the end of the stream.
//
// It acts as the active Recv of op.Handle and the active Send of Dst, both of
// which are handles of the same backend. It ends with io.EOF once Dst has
// taken the last byte; passing the end on (Shutdown) is the owner's act. It
// ends with another error if a side fails, and Side tells which; and with
// ErrCanceled after Cancel, with Rest holding what was read but not sent.
type Relay struct {
	Dst  Handle
	Head []byte // sent to Dst first, before anything that is read

	// Window ends the op with a nil error once this many bytes have been
	// read, and sent; 0 means no window. Budget is the largest number of bytes
	// moved in one turn of the loop, for fairness among relays; 0 means the
	// backend's default.
	Window int64
	Budget int

	// Moved counts the bytes, Head's too, that Dst has taken, and Last is the
	// backend's Now at the time of the latest of them, in nanoseconds. Both
	// may be read from any goroutine at any time; Submit does not reset them.
	Moved atomic.Int64
	Last  atomic.Int64

	Side Side   // result: whose error Err is
	Rest []byte // result: read from op.Handle but not taken by Dst; the owner's

	B any // the backend's
}

// A Side is one end of a relay.
type Side uint8

// The sides of a relay.
const (
	NoSide Side = iota // the op ended without a side's error
	Source             // reading from op.Handle failed
	Sink               // writing to Dst failed
)

// String returns the side's name.
func (s Side) String() string { return [...]string{"none", "source", "sink"}[s] }
