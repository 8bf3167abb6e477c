//go:build !linux

package load

import "errors"

// Upstream needs Linux.
func Upstream(string) error { return errors.New("load: needs Linux: it runs on epoll(7)") }
