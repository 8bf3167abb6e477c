//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A directoryLock is an flock(2) on a directory, held by its descriptor: it
// excludes others of this process as well as other processes, leaves no file
// behind, and ends with the process.
type directoryLock int

// noLock is a lock that could not be had.
const noLock directoryLock = -1

// lockTries is how often, a millisecond apart, a lock is tried that somebody
// holds. Those who start a listener hold it for some microseconds.
const lockTries = 1000

// lockDirectory locks the directory of path. It returns noLock where that cannot be:
// the directory may be searched and not read, its file system has no locks, or
// somebody holds one on it for longer. A file that is there stays there then.
func lockDirectory(path string) (directoryLock, error) {
	fd, err := unix.Open(filepath.Dir(path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	switch err {
	case nil:
	case unix.EACCES:
		return noLock, nil // if it cannot be searched either, bind(2) says so
	default:
		return noLock, err
	}
	for range lockTries {
		switch err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err {
		case nil:
			return directoryLock(fd), nil
		case unix.EWOULDBLOCK:
			_, _ = unix.Poll(nil, 1)
			continue
		case unix.EINTR:
			continue
		}
		break
	}
	unix.Close(fd)
	return noLock, nil
}

// release unlocks the directory.
func (l directoryLock) release() {
	if l != noLock {
		unix.Close(int(l))
	}
}
