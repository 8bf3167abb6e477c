//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package backends

import (
	"mobius/kqueue"
	"mobius/proactor"
)

func platform() []Backend {
	return []Backend{
		{Name: "kqueue", Open: func() (proactor.Backend, error) { return kqueue.Open(kqueue.Options{}) }},
	}
}

func hostile() []Backend { return nil }

func parked() []Backend { return nil }
