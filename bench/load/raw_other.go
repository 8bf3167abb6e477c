//go:build !linux

package load

import "errors"

func run(*Spec, *talk) (*Result, error) {
	return nil, errors.New("load: needs Linux: it runs on epoll(7)")
}
