package uring

import "syscall"

// An injection says, for a test, which system calls shall fail: call is "setup"
// (op: the flags), "register" (op: IORING_REGISTER_…) or "enter" (op: how many
// completions to wait for). 0 lets the call through.
//
// "send" is no system call but an entry (op: its bytes or vectors) that, unless 0 is
// answered, shall take no byte, as happens to a kernel that is short of memory.
type injection func(call string, op uint32) syscall.Errno
