package uring

import "syscall"

// An injection says, for a test, which system calls shall fail: call is "setup"
// (op: the flags), "register" (op: IORING_REGISTER_…) or "enter" (op: how many
// completions to wait for). 0 lets the call through.
type injection func(call string, op uint32) syscall.Errno
