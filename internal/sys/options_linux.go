//go:build linux

package sys

import (
	"time"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

func setKeepAliveIdle(fd, seconds int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds)
}

func setKeepAliveInterval(fd, seconds int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds)
}

func setKeepAliveCount(fd, probes int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, probes)
}

func setNotSentLowat(fd, bytes int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
}

// setFreeBind counts for both families (ip(7), since Linux 4.15 for IPv6 too).
func setFreeBind(fd, domain int) error {
	if domain == unix.AF_UNIX {
		return nil
	}
	return setBool(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, true)
}

func setRecvCredentials(fd int, on bool) error {
	return setBool(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, on)
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

// tcpOptions reads back what only TCP has.
func tcpOptions(fd int, o *proactor.SocketOptions) {
	get := func(option int) int {
		v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, option)
		if err != nil {
			return 0
		}
		return v
	}
	o.KeepAliveInterval = time.Duration(get(unix.TCP_KEEPINTVL)) * time.Second
	o.KeepAliveCount = get(unix.TCP_KEEPCNT)
	o.UserTimeout = time.Duration(get(unix.TCP_USER_TIMEOUT)) * time.Millisecond
	o.NotSentLowat = int(uint32(get(unix.TCP_NOTSENT_LOWAT)))
	if o.KeepAlive = -1; switched(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE) == proactor.On {
		o.KeepAlive = time.Duration(get(unix.TCP_KEEPIDLE)) * time.Second
	}
}
