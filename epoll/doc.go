// Package epoll is the backend for Linux without io_uring: internal/ready over
// epoll(7).
//
// Each descriptor is added once, edge-triggered, for both directions. Waits
// have nanosecond timeouts where the kernel has epoll_pwait2 (Linux 5.11), and
// are rounded up to milliseconds elsewhere.
//
// [OpenParked] returns the same engine for another kind of loop: its waits are
// those of a goroutine, in the network poller of Go's runtime, instead of those
// of a thread in epoll_pwait(2).
package epoll
