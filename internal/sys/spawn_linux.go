//go:build linux

package sys

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// askPidfd has clone(2) make a pidfd, so that there is no moment at which the
// number could be another process's.
func (p *spawn) askPidfd() { p.sys.PidFD = &p.pidfd }

// childFD returns a descriptor for a child: what clone(2) has made, or else
// pidfd_open(2), which is as good while nobody has waited for it.
func childFD(pid, pidfd int) (int, error) {
	if pidfd >= 0 {
		return pidfd, nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
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

func pipe(fds *[2]int) error { return unix.Pipe2(fds[:], unix.O_CLOEXEC) }

// openPTY returns the two ends of a new pseudo-terminal (pty(7)), CLOEXEC; the
// master is O_NONBLOCK.
func openPTY() (master, slave int, err error) {
	master, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, -1, err
	}
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		slave, err = unix.Open("/dev/pts/"+strconv.Itoa(number), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		unix.Close(master)
		return -1, -1, err
	}
	return master, slave, nil
}
