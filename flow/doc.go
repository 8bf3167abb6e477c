// Package flow moves bytes no faster than they are taken: producers and
// consumers, and two connections joined to one.
//
// A [Consumer], embedded in a protocol, paces a producer by the connection's
// output: a [PushProducer] is told to pause and to go on, a [PullProducer] is
// asked for more. [Source] makes a transport a producer, so that one
// connection's output paces another's input. [Pipe] does that for two
// connections both ways, and a [Forwarder] for each connection of a port.
//
// The names follow Twisted's IConsumer, IPushProducer and IPullProducer, with
// these differences: a pause comes once and not at every write, and a close
// waits for the producer on every transport, with a deadline.
package flow
