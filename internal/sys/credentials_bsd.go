//go:build darwin || freebsd

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// peerCredentials asks unix(4)'s LOCAL_PEERCRED, which tells no process.
func peerCredentials(fd int) (proactor.Credentials, error) {
	const solLocal = 0 // SOL_LOCAL, sys/un.h
	x, err := unix.GetsockoptXucred(fd, solLocal, unix.LOCAL_PEERCRED)
	if err != nil {
		return proactor.Credentials{}, err
	}
	return proactor.Credentials{UID: x.Uid, GID: x.Groups[0]}, nil
}
