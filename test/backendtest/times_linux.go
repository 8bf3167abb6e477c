//go:build linux

package backendtest

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// wantTimes checks the options that are times.
func (w *world) wantTimes(what string, get func(level, name int) int, o *proactor.SocketOptions) {
	w.Helper()
	if o.KeepAlive > 0 {
		idle, between := get(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), get(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL)
		if want := int(o.KeepAlive.Seconds()); idle != want || between != want {
			w.Errorf("%s: TCP_KEEPIDLE %d s, TCP_KEEPINTVL %d s, want %d", what, idle, between, want)
		}
	}
	if ms := get(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); ms != int(o.UserTimeout.Milliseconds()) {
		w.Errorf("%s: TCP_USER_TIMEOUT %d ms, want %v", what, ms, o.UserTimeout)
	}
}
