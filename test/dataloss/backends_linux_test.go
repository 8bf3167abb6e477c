//go:build linux

package dataloss

import (
	"mobius/epoll"
	"mobius/proactor"
	"mobius/uring"
)

// backends are the real ones that this system has.
func backends() map[string]func() (proactor.Backend, error) {
	return map[string]func() (proactor.Backend, error){
		"uring": func() (proactor.Backend, error) { return uring.Open(uring.Options{}) },
		"epoll": func() (proactor.Backend, error) { return epoll.Open(epoll.Options{}) },
	}
}
