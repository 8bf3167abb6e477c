// Package epoll is the backend for Linux without io_uring: internal/ready over
// epoll(7).
//
// Each descriptor is added once, edge-triggered, for both directions. Waits
// have nanosecond timeouts where the kernel has epoll_pwait2 (Linux 5.11), and
// are rounded up to milliseconds elsewhere.
package epoll
