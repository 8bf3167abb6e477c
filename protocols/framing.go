package protocols

import (
	"errors"
	"fmt"
)

// A Framing says how messages stand in a stream. Those of this package have no
// state, so one value serves any number of connections.
type Framing interface {
	// Split looks at p, which begins where a message does, and returns the
	// first message, a part of p, and the number of p's bytes that it takes up
	// with its frame. n = 0 says that the message is not complete. seen is how
	// many bytes of p an earlier Split has been given without finding the end,
	// so that they need not be searched again.
	//
	// An error says that no message can begin with p: one that wraps
	// [ErrTooLong] if it is longer than the limit, [ErrMalformed] if it is none.
	Split(p []byte, seen int) (frame []byte, n int, err error)

	// Append appends frame as it stands in a stream to dst. An error says that
	// it cannot stand there: it is too long, or would be cut.
	Append(dst, frame []byte) ([]byte, error)
}

// The errors of a [Framing].
var (
	ErrTooLong   = errors.New("message too long")
	ErrMalformed = errors.New("malformed message")
)

// DefaultMaxLength is the limit on a message's length, in bytes without its
// frame, where none is given: Twisted's for lines.
const DefaultMaxLength = 16384

func tooLong(what string, n uint64, limit int) error {
	return fmt.Errorf("%s of %d bytes, limit %d: %w", what, n, limit, ErrTooLong)
}
