//go:build linux

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// firstShared listens on fd, which was bound alone, and shares it.
func (s *Sockets) firstShared(fd int, local proactor.Address, _ int, o *proactor.SocketOptions, l *listener) (int, error) {
	if err := shareAfterBind(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return s.listening(fd, local, o, l)
}
