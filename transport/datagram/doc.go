// Package datagram is the transport of datagram sockets, UDP and unix: a
// [Port] is bound to an address, and gives what arrives to its [Protocol].
// These are Twisted's IReactorUDP, IReactorMulticast and IReactorUNIXDatagram
// with their transports.
//
// A datagram arrives whole or not at all. Nobody tells a sender that one was
// lost on its way; what this host knows of it is counted in [Stats], and told
// to protocols that ask, see [SendFailer].
package datagram
