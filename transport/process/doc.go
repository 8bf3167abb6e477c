// Package process is child processes on a loop: Twisted's IProcessTransport
// and IProcessProtocol.
//
// [Spawn] starts a program with pipes, with a terminal, or with any map of
// descriptors. Its [Protocol] gets what the child writes, and is told when the
// child has exited and when, after that, its last pipe has ended. No signal
// handler is installed: the kernel tells each child's end through a descriptor
// (pidfd_open(2), or EVFILT_PROC of kqueue(2)), and nobody else's children are
// waited for.
//
// What differs from Twisted: a program that cannot be executed is an error of
// Spawn; a write to a pipe that is closed is an error; a child's pipes have
// limits; whoever is told of a child's start is told of its end, also when the
// loop stops before that.
//
// Everything here is for the goroutine of the loop.
package process
