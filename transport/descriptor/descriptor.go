package descriptor

import "errors"

// A FileDescriptor is told when its descriptor is ready: Twisted's
// IReadDescriptor and IWriteDescriptor. Its values must be comparable, as
// pointers are: a set tells them apart by ==.
//
// Its methods are called on the loop's goroutine, one at a time. A panic in
// one is reported, and ends the watching with a [loop.PanicError] as the reason.
type FileDescriptor interface {
	// FD returns the number. It is asked when the descriptor is added, and
	// before and after each DoRead and DoWrite; another number than at first, -1 for
	// example, ends the watching with [ErrGone]. It is never asked once the
	// descriptor was removed.
	FD() int

	// DoRead is called while the descriptor is readable, at its end, or in
	// error, until it is removed. An error ends the watching, and is given to
	// ConnectionLost. io.EOF of a transport.HalfCloser only ends the reading, and
	// ReadConnectionLost tells so.
	DoRead() error

	// DoWrite is called while the descriptor is writable, or in error. If both
	// are due DoRead comes first, and an error of it leaves DoWrite out.
	DoWrite() error

	// ConnectionLost says that the descriptor is watched no more, though
	// nobody removed it: err is what DoRead or DoWrite returned, [ErrGone], a
	// panic, or the loop's reason to stop. To close the descriptor is its
	// owner's business.
	ConnectionLost(err error)
}

// ErrGone is the reason of a descriptor whose FD has become another.
// (Twisted's ConnectionFdescWentAway.)
var ErrGone = errors.New("descriptor: the file descriptor went away")
