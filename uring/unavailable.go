package uring

import (
	"errors"
	"fmt"
	"syscall"
)

// errMemory is what errors are that come from registering Options.Memory.
var errMemory = errors.New("Options.Memory")

// unavailable makes err, which a system call at the start ended with, an
// ErrUnavailable that says why and what to do, if it is one of the errors that mean
// that somebody forbids io_uring or that the kernel does not have what is needed.
func unavailable(err error) error {
	var why string
	switch {
	case errors.Is(err, errMemory):
		return err // a ring could be had
	case errors.Is(err, syscall.EPERM):
		why = "this process may not use it: " + whoForbids()
	case errors.Is(err, syscall.EACCES):
		why = "a security module or a restriction forbids it: see the audit log, allow io_uring there"
	case errors.Is(err, syscall.ENOSYS):
		why = "the kernel was built without it, or a sandbox (seccomp, gVisor) hides it: allow io_uring_setup, io_uring_enter " +
			"and io_uring_register there"
	case errors.Is(err, syscall.EINVAL):
		why = "the kernel is too old, 6.1 is needed"
	case errors.Is(err, syscall.ENOMEM):
		why = "no memory for its queues and buffers: raise the limit on locked memory (ulimit -l) or of the control group, " +
			"or ask for smaller ones"
	default:
		return err
	}
	return fmt.Errorf("%w: %s (%w)", ErrUnavailable, why, err)
}

// differs is an ErrUnavailable for a kernel that does not behave as it should.
func differs(err error) error {
	return fmt.Errorf("%w: the kernel does not do as expected: %w", ErrUnavailable, err)
}
