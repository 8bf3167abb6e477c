//go:build !linux

package main

// playForbidden does nothing: there is no io_uring to be forbidden.
func playForbidden() {}
