//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"syscall"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// askPidfd does nothing: there is no such descriptor here.
func (*spawn) askPidfd() {}

// childFD returns a descriptor that stands for a child, so that its handle has
// a number which is nobody else's.
func childFD(pid, _ int) (int, error) {
	fd, err := openReserve()
	if err == nil {
		return fd, nil
	}
	_ = unix.Kill(pid, unix.SIGKILL)
	for {
		if _, werr := unix.Wait4(pid, nil, 0, nil); werr != unix.EINTR {
			return -1, err
		}
	}
}

func pipe(fds *[2]int) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(fds[:]); err != nil {
		return err
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return nil
}

// openPTY: each of these systems has another way to the name of the other end.
func openPTY() (master, slave int, err error) { return -1, -1, proactor.ErrUnsupported }
