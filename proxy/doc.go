// Package proxy forwards stream connections, and datagrams: an L4 proxy as a library.
//
// A [Proxy] runs on one or several loops. Each connection it accepts becomes a
// [Session] that lives on one loop for good, without a goroutine of its own,
// and passes four stages, each an interface with a default:
//
//	accepted ──▶ Filter ──▶ Router ──▶ Dialer ──▶ relayed both ways ──▶ Reporter
//	             may it?    where to?  connect     until both ends       how it went
//	                           ▲          │
//	                           └── failed ┘  next upstream
//
// Relaying is two [proactor.Relay] ops: small traffic goes straight from the
// buffer it arrived in, bulk through splice(2), and an idle session holds two
// descriptors and no buffer.
//
// A side that speaks over a [Layer], TLS, has its handshake before the router or
// with the dialer. A [Datagrams] forwards datagrams in the same manner, with a
// [Flow] for each client.
//
// What the proxy promises about ends: an end of stream is passed on after the
// last byte, and the other direction goes on (a request may end before its reply
// begins). An end is only ever passed on, never invented: whatever else ends
// a session (a reset, a dead upstream, a timeout, a drain's deadline) resets
// the sides that are still there, so that nobody takes a cut stream for a
// whole one. Unix sockets know no reset; their peers see the connection close.
package proxy
