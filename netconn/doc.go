// Package netconn is package net on a reactor: a net.Listener, a dialer,
// connections and packet connections that block, have deadlines and may be used
// by any goroutine, so that code that was written for package net runs on a
// mobius.Reactor by changing where it gets its listener and its connections.
//
// What the methods return, and in which error, is what package net's own
// return; the documentation says where it is not.
//
// A connection lives on one loop of the reactor, which receives ahead of the
// reader, up to Options.ReadBuffer, and wakes blocked goroutines once per turn.
// A Write is a system call of the goroutine that calls it; only what the socket
// does not take at once is left to the loop, and the Write waits for it. So
// nothing is ever queued for writing, as with package net.
//
// Whatever blocks must not be called on a loop's goroutine, that is in a
// Protocol or a function given to Call: it would wait for itself.
package netconn
