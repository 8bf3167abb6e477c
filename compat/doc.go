// Package compat has the shape of gnet's version 2 (github.com/panjf2000/gnet)
// on a reactor of Mobius: an [EventHandler] with OnBoot, OnOpen, OnTraffic,
// OnClose, OnTick and OnShutdown, a [Conn] with Peek, Next, Discard, Write and
// AsyncWrite, and [Run], [Rotate] and [NewClient]. A program that was written
// for that event loop moves by changing its import:
//
//	import gnet "mobius/compat"
//
// Names and signatures are gnet's, and nothing else is: there is no code of it
// here. docs/dropin.md has the table of names and of what differs. In short:
//
//   - A close delivers what was written before it, and OnClose comes when the
//     connection has ended. Nothing that was written is dropped silently.
//   - A Write is all or nothing. Output and input have limits, which are errors:
//     transport.ErrFull, [ErrInboundFull].
//   - A failing accept(2) ends nothing; deadlines work; Schedule works.
//   - An option either works or is an error of Run that names it.
//
// # Memory
//
// What Peek and Next return is what the backend received, where it lies. Only
// bytes that OnTraffic leaves unread are copied, and only a message that lies
// partly in those is put together. A Write copies; of bytes that Peek or Next
// have returned in the same OnTraffic, from 4 KiB on, it keeps the buffer
// instead. Nothing on these paths allocates.
//
// # Goroutines
//
// All methods of an [EventHandler] but OnBoot and OnShutdown are called on
// loops, each connection's on its one. With one loop, the default, no handler
// needs a lock. Methods of a [Conn] are for its loop's goroutine, that is for
// the handler's methods, but those whose comment says "any goroutine".
package compat
