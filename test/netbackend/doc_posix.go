//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

// Package netbackend is a [proactor.Backend] on package net, with a goroutine
// for each operation: the plainest there can be. The conformance suite has it
// as the peer of the real backends, so that each of them talks to somebody
// who was not made by the same people; and it shows that the contract can be
// kept without knowing how the others are made.
//
// It does Accept, Connect, Recv, Send and Work on streams; everything else
// answers ErrUnsupported. It is not fast. Only tests import it.
package netbackend
