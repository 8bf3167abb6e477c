//go:build linux

package uring

import (
	"os"
	"strings"
)

// whoForbids explains an EPERM: the sysctl that io_uring_setup(2) names, or else
// a seccomp filter, as container runtimes ship one.
func whoForbids() string {
	const sysctl = "kernel.io_uring_disabled"
	b, err := os.ReadFile("/proc/sys/kernel/io_uring_disabled")
	if v := strings.TrimSpace(string(b)); err == nil && v != "0" {
		return "the sysctl " + sysctl + " is " + v + ": set it to 0, or join the group of kernel.io_uring_group"
	}
	return "a seccomp filter denies it (the default profiles of Docker, containerd and Kubernetes do): " +
		"allow io_uring_setup, io_uring_enter and io_uring_register in it"
}
