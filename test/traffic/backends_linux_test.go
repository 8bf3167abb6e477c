//go:build linux

package traffic

// backends are those that can run on this system.
func backends() []string { return []string{"uring", "epoll"} }
