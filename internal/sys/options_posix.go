//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"time"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// DefaultKeepAlive is the idle time before and between TCP keep-alive probes.
const DefaultKeepAlive = 15 * time.Second

// applyNew sets every option of a new socket: the defaults of o's zero values
// too. On a listener this is what accepted connections inherit.
func applyNew(fd int, network proactor.Network, o *proactor.SocketOptions) error {
	if network == proactor.TCP {
		if err := setBool(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, !o.Delay); err != nil {
			return err
		}
		keep := o.KeepAlive
		if keep == 0 {
			keep = DefaultKeepAlive
		}
		if err := setKeepAlive(fd, keep); err != nil {
			return err
		}
	}
	return applyShared(fd, network, o)
}

// applyLive sets those options of o that are not zero.
func applyLive(fd int, network proactor.Network, o *proactor.SocketOptions) error {
	if network == proactor.TCP {
		if o.Delay {
			if err := setBool(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, false); err != nil {
				return err
			}
		}
		if o.KeepAlive != 0 {
			if err := setKeepAlive(fd, o.KeepAlive); err != nil {
				return err
			}
		}
	}
	return applyShared(fd, network, o)
}

func applyShared(fd int, network proactor.Network, o *proactor.SocketOptions) error {
	if o.UserTimeout > 0 && network == proactor.TCP {
		if err := setUserTimeout(fd, o.UserTimeout); err != nil {
			return err
		}
	}
	if o.SendBuffer > 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, o.SendBuffer); err != nil {
			return err
		}
	}
	if o.RecvBuffer > 0 {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, o.RecvBuffer)
	}
	return nil
}

func setKeepAlive(fd int, idle time.Duration) error {
	if idle < 0 {
		return setBool(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, false)
	}
	if err := setBool(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, true); err != nil {
		return err
	}
	return setKeepAliveTimes(fd, roundUp(idle, time.Second))
}

func setBool(fd, level, option int, on bool) error {
	v := 0
	if on {
		v = 1
	}
	return unix.SetsockoptInt(fd, level, option, v)
}

// roundUp returns d in units, at least 1: an option of 0 would mean something
// else than a short time.
func roundUp(d, unit time.Duration) int {
	return max(1, int((d+unit-1)/unit))
}

// resetOnClose makes close(2) send an RST and drop what is unsent.
func resetOnClose(fd int) error {
	return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
}

// Error returns and clears the error pending on a socket: how a connect ended.
func Error(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return err
	case n != 0:
		return unix.Errno(n)
	}
	return nil
}
