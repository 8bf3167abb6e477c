//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// firstShared closes fd, whose bind has proven that the port is free, and
// binds another socket that shares it.
func (s *Sockets) firstShared(fd int, local proactor.Address, domain int, o *proactor.SocketOptions, l *listener) (int, error) {
	unix.Close(fd)
	fd, err := s.boundTCP(local, domain, o, shareBeforeBind)
	if err != nil {
		return -1, err
	}
	return s.listening(fd, local, o, l)
}
