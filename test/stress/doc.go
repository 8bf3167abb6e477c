// Package stress has reactors do much at a time, on every backend, with default
// and with tiny limits, on one loop and on several: bytes, connections, calls,
// pauses, ends. The other side is package net, which knows nothing of ours.
package stress
