//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

// await waits for c.
func (c *child) await() { c.block() }
