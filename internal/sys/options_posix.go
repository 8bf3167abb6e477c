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
func applyNew(fd, domain int, network proactor.Network, o *proactor.SocketOptions) error {
	if network == proactor.TCP {
		if err := setBool(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, o.Delay != proactor.On); err != nil {
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
	if err := applyShared(fd, domain, network, o); err != nil || o.Control == nil {
		return err
	}
	return o.Control.Control(fd)
}

// applyLive sets those options of o that are not zero.
func applyLive(fd, domain int, network proactor.Network, o *proactor.SocketOptions) error {
	if network == proactor.TCP {
		if o.Delay != proactor.Unset {
			if err := setBool(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, o.Delay == proactor.Off); err != nil {
				return err
			}
		}
		if o.KeepAlive != 0 {
			if err := setKeepAlive(fd, o.KeepAlive); err != nil {
				return err
			}
		}
	}
	return applyShared(fd, domain, network, o)
}

// applyShared sets those options that have no default of ours.
func applyShared(fd, domain int, network proactor.Network, o *proactor.SocketOptions) (err error) {
	switch network {
	case proactor.TCP:
		err = applyTCP(fd, o)
	case proactor.UDP:
		err = applyUDP(fd, domain, o)
	case proactor.Unix, proactor.Unixgram:
		if o.RecvCredentials != proactor.Unset {
			err = setRecvCredentials(fd, o.RecvCredentials == proactor.On)
		}
	}
	if err == nil && o.SendBuffer > 0 {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, o.SendBuffer)
	}
	if err == nil && o.RecvBuffer > 0 {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, o.RecvBuffer)
	}
	return err
}

func applyTCP(fd int, o *proactor.SocketOptions) (err error) {
	if o.KeepAliveInterval > 0 {
		err = setKeepAliveInterval(fd, roundUp(o.KeepAliveInterval, time.Second))
	}
	if err == nil && o.KeepAliveCount > 0 {
		err = setKeepAliveCount(fd, o.KeepAliveCount)
	}
	if err == nil && o.UserTimeout > 0 {
		err = setUserTimeout(fd, o.UserTimeout)
	}
	if err == nil && o.NotSentLowat > 0 {
		err = setNotSentLowat(fd, o.NotSentLowat)
	}
	return err
}

// setKeepAlive sets the idle time, and the interval to the same.
func setKeepAlive(fd int, idle time.Duration) error {
	if idle < 0 {
		return setBool(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, false)
	}
	if err := setBool(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, true); err != nil {
		return err
	}
	if err := setKeepAliveIdle(fd, roundUp(idle, time.Second)); err != nil {
		return err
	}
	return setKeepAliveInterval(fd, roundUp(idle, time.Second))
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
