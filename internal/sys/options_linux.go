//go:build linux

package sys

import (
	"time"

	"golang.org/x/sys/unix"
)

func setKeepAliveTimes(fd, seconds int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds); err != nil {
		return err
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds)
}

func setUserTimeout(fd int, d time.Duration) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, roundUp(d, time.Millisecond))
}

// shareAfterBind turns SO_REUSEPORT on after bind(2) has proven, without it,
// that nobody has the port; it counts from listen(2) on. See reusePort.
func shareAfterBind(fd int) error { return setBool(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, true) }

// shareBeforeBind joins a port that this process shares already.
func shareBeforeBind(fd int) error { return shareAfterBind(fd) }

// lateLocalPort leaves the choice of a local port to connect(2), which knows
// the peer and so can use a port for several peers (ip(7)).
func lateLocalPort(fd int) error {
	return setBool(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, true)
}

// finishAccepted sets what an accepted socket does not inherit: on Linux
// nothing, tcp(7) options and buffer sizes are the listener's.
func finishAccepted(int, *listener) error { return nil }
