//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// options are option numbers of <netinet/tcp.h>, <netinet/in.h> and
// <sys/socket.h> that package unix has on some of these systems only; 0 where
// there is none.
type options struct{ keepIdle, keepInterval, keepCount, notSentLowat, noSIGPIPE, sharePort, recvTOS int }

var systemOptions = map[string]options{
	"darwin":    {0x10, 0x101, 0x102, 0x201, 0x1022, unix.SO_REUSEPORT, 27}, // TCP_KEEPALIVE, TCP_KEEPINTVL
	"dragonfly": {0x100, 0x200, 0x400, 0, 0x800, unix.SO_REUSEPORT, 0},
	"freebsd":   {0x100, 0x200, 0x400, 0, 0x800, 0x10000, 68}, // SO_REUSEPORT_LB: the plain one does not balance
	"netbsd":    {0x3, 0x5, 0x6, 0, 0x800, unix.SO_REUSEPORT, 0},
	"openbsd":   {0, 0, 0, 0, 0, unix.SO_REUSEPORT, 0},
}

// setTCP sets an option of a number, or says that there is none.
func setTCP(fd, option, value int) error {
	if option == 0 {
		return proactor.ErrUnsupported
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, option, value)
}

func setKeepAliveIdle(fd, seconds int) error {
	if o := systemOptions[runtime.GOOS].keepIdle; o != 0 {
		return setTCP(fd, o, seconds)
	}
	return nil // only sysctl(8) has these times
}

func setKeepAliveInterval(fd, seconds int) error {
	if o := systemOptions[runtime.GOOS].keepInterval; o != 0 {
		return setTCP(fd, o, seconds)
	}
	return nil // only sysctl(8) has these times
}

func setKeepAliveCount(fd, probes int) error {
	return setTCP(fd, systemOptions[runtime.GOOS].keepCount, probes)
}

func setNotSentLowat(fd, bytes int) error {
	return setTCP(fd, systemOptions[runtime.GOOS].notSentLowat, bytes)
}

// setFreeBind: what comes nearest needs privilege (IP_BINDANY), or is not there.
func setFreeBind(int, int) error { return proactor.ErrUnsupported }

// setRecvCredentials: each of these systems has another way, or none.
func setRecvCredentials(int, bool) error { return proactor.ErrUnsupported }

// noSIGPIPE makes writes to a dead peer fail with EPIPE alone.
func noSIGPIPE(fd int) error {
	if o := systemOptions[runtime.GOOS].noSIGPIPE; o != 0 {
		return setBool(fd, unix.SOL_SOCKET, o, true)
	}
	return nil
}

// setUserTimeout: there is no such option that all of these systems have.
func setUserTimeout(int, time.Duration) error { return proactor.ErrUnsupported }

// shareBeforeBind joins a port that this process shares already.
func shareBeforeBind(fd int) error {
	return setBool(fd, unix.SOL_SOCKET, systemOptions[runtime.GOOS].sharePort, true)
}

// lateLocalPort does nothing: bind(2) chooses the port.
func lateLocalPort(int) error { return nil }

// finishAccepted sets what accept(2) may not have passed on: which options are
// inherited differs from system to system, so all are set again.
func finishAccepted(fd int, l *listener) error {
	if l == nil {
		return nil
	}
	return applyNew(fd, 0, l.network, &l.options)
}

// tcpOptions reads back what only TCP has.
func tcpOptions(fd int, o *proactor.SocketOptions) {
	numbers := systemOptions[runtime.GOOS]
	get := func(option int) int {
		v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, option)
		if option == 0 || err != nil {
			return 0
		}
		return v
	}
	o.KeepAliveInterval = time.Duration(get(numbers.keepInterval)) * time.Second
	o.KeepAliveCount = get(numbers.keepCount)
	o.NotSentLowat = get(numbers.notSentLowat)
	if o.KeepAlive = -1; switched(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE) == proactor.On {
		o.KeepAlive = time.Duration(get(numbers.keepIdle)) * time.Second
	}
}
