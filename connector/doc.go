// Package connector makes connections and gives each a protocol: a [Port]
// accepts them, a [Connector] dials, and a [Factory] builds the protocols.
//
// The classes, their calls and the order of these are Twisted's (IConnector,
// IListeningPort, IFactory, ReconnectingClientFactory). Where they differ, it
// is so that every attempt and every connection is accounted for exactly once:
// a panic in a callback ends its own connection and no bookkeeping, Connect
// works from every callback, and no method calls a factory or a protocol
// before it returns, but for Connect and Listen, which start the factory and
// tell it of the attempt.
package connector
