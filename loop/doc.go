// Package loop runs one goroutine, on one thread where its backend is a
// thread's: completions of a [proactor.Backend], timers, posted calls and
// futures.
//
// A turn of a [Loop] is
//
//	flushes → poll (completions) → due timers → posted calls
//
// What is due is read when each phase begins, and what a phase adds to itself
// waits for the next turn, so that nothing starves anything else. The time of
// the next timer is the timeout of the poll.
//
// All of a loop's callbacks run on its goroutine, one at a time. Everything in
// this package is for that goroutine, or for any before the first turn, except
// where a doc comment says "any goroutine".
//
// A panic in a callback is reported as a [Trouble] and the loop lives. A
// runtime.Goexit in a callback takes the goroutine away, so it ends the loop:
// every [Member] is told, operations are reaped, and Run returns [ErrGoexit].
package loop
