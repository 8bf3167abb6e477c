//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package mobius

import (
	"mobius/kqueue"
	"mobius/proactor"
)

// platform is how messages name the platform.
const platform = "a BSD"

// candidates returns the backends of this platform, the preferred one first.
func candidates() []candidate {
	return []candidate{
		{"kqueue", func() (proactor.Backend, error) { return kqueue.Open(kqueue.Options{}) }, nil},
	}
}
