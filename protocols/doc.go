// Package protocols cuts streams into messages, and has the small parts that
// many protocols need.
//
// [Frames] runs a [FrameProtocol], which receives whole messages, over any
// stream. How the stream is cut is a [Framing]: [Lines] (Twisted's
// LineReceiver), [Prefixed] (Int8StringReceiver to Int32StringReceiver),
// [Netstrings] (NetstringReceiver), or one's own. Every framing has a limit on
// the size of a message, so that a peer cannot fill the memory.
//
// [States] is Twisted's StatefulProtocol: a machine whose every state asks for
// a number of bytes. [Timeout] is its TimeoutMixin.
//
// Everything here is for the goroutine of the connection's loop.
package protocols
