// Package descriptor has a loop watch descriptors that are somebody else's:
// Twisted's IReactorFDSet, for libraries that bring their own I/O and only ask
// to be called when a descriptor is ready.
//
// A [Set] calls a [FileDescriptor] as long as its descriptor is readable or
// writable: level semantics, as poll(2) has them. Everything here is for the
// goroutine of the set's loop.
//
// A descriptor stays its owner's, who closes it: the set works on a duplicate
// (dup(2)), so that a number which is closed and given out again never brings
// one's events to another. Being duplicates they share the O_NONBLOCK that the
// set turns on (fcntl(2)).
package descriptor
