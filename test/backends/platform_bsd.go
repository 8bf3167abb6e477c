//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package backends

import (
	"mobius/kqueue"
	"mobius/proactor"
)

func platform() []Backend {
	return []Backend{
		{"kqueue", func() (proactor.Backend, error) { return kqueue.Open(kqueue.Options{}) }},
	}
}
