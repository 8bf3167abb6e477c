//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package dataloss

import (
	"mobius/kqueue"
	"mobius/proactor"
)

// backends are the real ones that this system has.
func backends() map[string]func() (proactor.Backend, error) {
	return map[string]func() (proactor.Backend, error){
		"kqueue": func() (proactor.Backend, error) { return kqueue.Open(kqueue.Options{}) },
	}
}
