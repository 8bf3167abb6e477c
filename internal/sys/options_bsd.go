//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// options are option numbers of <netinet/tcp.h> and <sys/socket.h> that
// package unix has on some of these systems only; 0 where there is none.
type options struct{ keepIdle, keepInterval, noSIGPIPE, sharePort int }

var systemOptions = map[string]options{
	"darwin":    {0x10, 0x101, 0x1022, unix.SO_REUSEPORT}, // TCP_KEEPALIVE, TCP_KEEPINTVL
	"dragonfly": {0x100, 0x200, 0x800, unix.SO_REUSEPORT},
	"freebsd":   {0x100, 0x200, 0x800, 0x10000}, // SO_REUSEPORT_LB: the plain one does not balance
	"netbsd":    {0x3, 0x5, 0x800, unix.SO_REUSEPORT},
	"openbsd":   {0, 0, 0, unix.SO_REUSEPORT},
}

func setKeepAliveTimes(fd, seconds int) error {
	o := systemOptions[runtime.GOOS]
	if o.keepIdle == 0 {
		return nil // only sysctl(8) has these times
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, o.keepIdle, seconds); err != nil {
		return err
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, o.keepInterval, seconds)
}

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
	return applyNew(fd, l.network, &l.options)
}
