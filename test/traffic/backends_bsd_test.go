//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package traffic

// backends are those that can run on this system.
func backends() []string { return []string{"kqueue"} }
