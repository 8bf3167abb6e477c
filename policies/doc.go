// Package policies has factories that wrap factories, to hold connections to
// rules that their protocols need not know: how many there may be, in all and
// from one source ([LimitTotal], [LimitPerPeer]), how long they may be idle
// ([Timeout]), how fast they are ([Throttle]), and what goes over them
// ([TrafficLog]). A [Bucket] counts rates. [ProxyProtocol] has a proxy in front
// tell whose a connection is, and [SendProxy] tells it on.
//
// A [Wrapper] stands between a transport and a protocol, and [Wrap] and
// [WrapClient] put one before each protocol that a factory builds: Twisted's
// ProtocolWrapper and WrappingFactory. Wrappers stack. What either side is able
// to do beyond its interface is found through them with mobius.As.
package policies
