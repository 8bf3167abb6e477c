// Package splice moves bytes between two descriptors without copying them into
// the process: splice(2) into a pipe and out of it, on Linux. Elsewhere a
// [Pool] refuses every pipe, so that callers copy.
//
// Pipes cost two descriptors and, when full, their size in kernel memory, and
// an unprivileged user has a budget of such memory (pipe(7),
// pipe-user-pages-soft). So they are pooled, and a relay has one only while
// bytes are in it.
package splice
