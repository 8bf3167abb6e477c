//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package main

import "syscall"

// descriptorLimit returns how many descriptors this process may have, 0 if that
// is not known. (At its start package os has raised the soft limit to the hard
// one; see setrlimit(2).)
func descriptorLimit() uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || int64(l.Cur) < 0 {
		return 0
	}
	return uint64(l.Cur)
}
