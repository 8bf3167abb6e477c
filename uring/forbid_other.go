//go:build !linux

package uring

func whoForbids() string { return "this platform" }
