package proactor

import (
	"runtime"
	"sync/atomic"
)

// A Token is the right to write to one stream: whoever holds it may write, so
// that bytes keep their order although two parties write them.
//
// A new stream's token is the loop's. The loop keeps it while it has a Send
// active or bytes queued; a stream whose only writer is the loop never gives
// it up, which then costs nothing. Share offers it to other goroutines, which
// Enter, call [Backend].TryWrite, and Leave.
//
//	         Share              Enter
//	kept ◀─────────▶ free ◀──────────────▶ entered
//	  │       Keep          Leave
//	  │ End (CloseFD; waits for a guest to leave)
//	  ▼
//	ended, until the number is given out with another generation
type Token struct {
	word atomic.Uint64 // generation<<2 | one of the states below
}

const (
	tokenEnded = iota
	tokenKept
	tokenFree
	tokenEntered
)

func tokenWord(h Handle, state uint64) uint64 { return uint64(h.Generation())<<2 | state }

// Open begins h's generation with the token kept by the loop. For backends.
func (t *Token) Open(h Handle) { t.word.Store(tokenWord(h, tokenKept)) }

// Share offers the token that the loop keeps to other goroutines. Loop only.
func (t *Token) Share(h Handle) bool {
	return t.word.CompareAndSwap(tokenWord(h, tokenKept), tokenWord(h, tokenFree))
}

// Keep takes the token for the loop and reports whether the loop has it now.
// It does not wait: it fails while a guest is writing. Loop only.
func (t *Token) Keep(h Handle) bool {
	return t.word.CompareAndSwap(tokenWord(h, tokenFree), tokenWord(h, tokenKept)) ||
		t.word.Load() == tokenWord(h, tokenKept)
}

// Enter takes the token for the calling goroutine. It fails if the loop or
// another goroutine has it, or if h is closed.
func (t *Token) Enter(h Handle) bool {
	return t.word.CompareAndSwap(tokenWord(h, tokenFree), tokenWord(h, tokenEntered))
}

// Entered reports whether some goroutine is between Enter and Leave on h.
func (t *Token) Entered(h Handle) bool { return t.word.Load() == tokenWord(h, tokenEntered) }

// Leave gives the token back after Enter.
func (t *Token) Leave(h Handle) {
	if !t.word.CompareAndSwap(tokenWord(h, tokenEntered), tokenWord(h, tokenFree)) {
		panic("proactor: Leave without Enter")
	}
}

// End takes the token for good: once it has returned, no goroutine is inside
// TryWrite on h and none will enter. It waits for a guest, who is inside one
// non-blocking write at most. For backends, in CloseFD and Detach.
func (t *Token) End(h Handle) {
	for {
		if t.word.CompareAndSwap(tokenWord(h, tokenKept), tokenWord(h, tokenEnded)) ||
			t.word.CompareAndSwap(tokenWord(h, tokenFree), tokenWord(h, tokenEnded)) {
			return
		}
		if t.word.Load() != tokenWord(h, tokenEntered) {
			return // another generation, or ended already
		}
		runtime.Gosched()
	}
}
