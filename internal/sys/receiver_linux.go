//go:build linux

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// WatchReceiver returns a socket that can be polled for room (POLLOUT) in the
// queue of the unix datagram socket at an address. Only a socket that is
// connected to a receiver is told of that, and one that sends to many is not.
// The error is why nothing can be sent there. The caller closes it.
func WatchReceiver(a proactor.Address) (int, error) {
	var raw RawAddr
	if err := raw.Set(a, unix.AF_UNIX); err != nil {
		return -1, err
	}
	fd, err := newSocket(unix.AF_UNIX, unix.SOCK_DGRAM)
	if err != nil {
		return -1, err
	}
	if err := Connect(fd, &raw); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
