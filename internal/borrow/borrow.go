// Package borrow lends the number of a descriptor that an object of package os
// or net owns, for as long as a function runs.
package borrow

import (
	"fmt"
	"syscall"
)

// With calls f with the number of from's descriptor, which is from's again when f
// returns: from is the number itself, or has a method SyscallConn, as *os.File
// and the connections and listeners of package net. An error says that f was
// not called.
func With(from any, f func(fd int)) error {
	switch from := from.(type) {
	case int:
		f(from)
		return nil
	case syscall.Conn:
		raw, err := from.SyscallConn()
		if err != nil {
			return err
		}
		return raw.Control(func(fd uintptr) { f(int(fd)) })
	}
	return fmt.Errorf("want a number, *os.File, net.Conn, net.Listener or another syscall.Conn, got %T", from)
}
