// Package mobius is Twisted's reactor for Go, on io_uring where the kernel has
// it, else on epoll or kqueue.
//
// A [Reactor] runs protocols. A server is a [Factory] that builds a [Protocol]
// for each connection that a [Port] accepts; a client is a [ClientFactory] that
// a [Connector] connects, and connects again. Everything a protocol is told it
// is told on one goroutine, one call at a time, so it needs no locks:
//
//	type echo struct{ t mobius.Transport }
//
//	func (e *echo) ConnectionMade(t mobius.Transport) { e.t = t }
//	func (e *echo) DataReceived(p []byte)             { e.t.Write(p) }
//	func (e *echo) ConnectionLost(err error)          {}
//
// The examples show it whole. The types that users meet are those of packages
// transport and connector under one name here; the I/O itself is behind
// package proactor, which also says what a backend of one's own must do, and
// package sim is a backend that plays a network from a seed, for tests.
//
// There is no global reactor: a program makes as many as it likes, each with
// [Options.Loops] loops, and nothing is started before [Reactor.Run].
package mobius
