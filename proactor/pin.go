package proactor

// A Pin marks the memory of a zero-copy Send. The op completes with its
// result as any Send does and may be used again at once; the memory it sent
// stays with the kernel until Released, which may be much later: when the
// peer has acknowledged the last byte.
//
// Every backend calls Released exactly once for each Send that was submitted
// with the Pin, after that op's last completion, on the loop's goroutine;
// backends that copy do so right after it: all but the simulator, and rings on
// which uring.Options.ZeroCopy is set. A handle with a pin outstanding must not be closed.
type Pin struct {
	Owner PinOwner
	B     uint64 // the backend's
}

// A PinOwner lent memory to a zero-copy Send.
type PinOwner interface {
	// Released gives the memory back. copied says that the kernel copied it
	// after all, so that a zero-copy Send brought nothing.
	Released(p *Pin, copied bool)
}
