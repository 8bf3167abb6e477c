package mobius

import "mobius/loop"

// A LoopingCall calls a function again and again without drifting; see
// [loop.LoopingCall], which says what all its methods do, and has constructors
// for other loops than the first.
type LoopingCall = loop.LoopingCall

// NewLoopingCall returns a looping call of f on the first loop, to be started
// there, or on any goroutine before Run. An error of f ends it.
func NewLoopingCall(r *Reactor, f func() error) *LoopingCall {
	return loop.NewLoopingCall(r.loops[0], f)
}

// NewLoopingCallWithCount is [NewLoopingCall] for an f that is told how many
// intervals have passed since the call before: 1 if none was missed.
func NewLoopingCallWithCount(r *Reactor, f func(count int) error) *LoopingCall {
	return loop.NewLoopingCallWithCount(r.loops[0], f)
}

// NewLoopingCallAsync is [NewLoopingCallWithCount] for an f that returns what
// the next call is to wait for, or nil.
func NewLoopingCallAsync(r *Reactor, f func(count int) Awaitable) *LoopingCall {
	return loop.NewLoopingCallAsync(r.loops[0], f)
}
