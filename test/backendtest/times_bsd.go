//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package backendtest

import "mobius/proactor"

// wantTimes checks nothing: the names and units of these options differ from
// one BSD to the next.
func (w *world) wantTimes(string, func(level, name int) int, *proactor.SocketOptions) {}
