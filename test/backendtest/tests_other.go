//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package backendtest

var descriptorTests []Test
