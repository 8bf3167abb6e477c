// Package kqueue is the backend for the BSDs and macOS: internal/ready over
// kqueue(2).
//
// Each descriptor is added once, with EV_CLEAR, to both filters. The selector
// knows kevent(2) only as a [System], in events of its own, so that it also
// runs on Linux, on the model in package keventmodel, and is held to the
// contract there. It has not run on a BSD.
package kqueue
