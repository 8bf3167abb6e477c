// Package transport is one connection: a stream of bytes each way, and the
// [Protocol] that speaks over it.
//
// A [Conn] is made from a connected handle and started with a Protocol; a
// [Listener] accepts handles. Both live on one [loop.Loop], and everything in
// this package is for that loop's goroutine. To do something to a connection
// from elsewhere, post it with [loop.Loop.Call].
//
// The names and their meaning follow Twisted's ITransport, IProtocol and
// IHalfCloseableProtocol, with these differences: a Write after the close was
// asked for is an error, the output is bounded, PauseWriting comes once and
// not at every write, the peer's end does not discard output that is still
// queued, a close never turns unread input into a reset, and every wait has a
// deadline.
package transport
