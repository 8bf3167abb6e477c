//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

var ip4Any = netip.IPv4Unspecified()

// sharedPorts counts the listeners of this process that share a port. Ports
// belong to the machine, so this is a fact about the process and not about any
// one backend: the loops of a reactor have one backend each.
//
// How a busy port stays an error although ports may be shared. SO_REUSEPORT
// lets any process of the same user join a port whose sockets all have the
// option, so asking for it outright would join a stranger's, or the previous
// run's, and half of the connections would go there. So:
//
//  1. The first listener binds without the option. If anybody has the port,
//     with the option or without, this fails: the port is busy.
//  2. It then gets the option, and listens. On Linux the option may be set on
//     a bound socket, so nobody can come between; elsewhere it must be set
//     before, so that the proof is a bind of another socket, closed at once.
//  3. While it listens, further listeners of this process, which find the
//     address here, bind with the option.
//
// The last to close takes the address out, so that the next is a first again.
// A listener that was detached is no longer known here, and its port is busy.
var sharedPorts = portCounts{count: make(map[proactor.Address]int)}

type portCounts struct {
	mu    sync.Mutex // held over the binds, so that two first ones do not meet
	count map[proactor.Address]int
}

func (p *portCounts) leave(a proactor.Address) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count[a]--; p.count[a] <= 0 {
		delete(p.count, a)
	}
}

// listenShared is listenTCP for a port that is to be shared.
func (s *Sockets) listenShared(local proactor.Address, domain int, o *proactor.SocketOptions, l *listener) (int, error) {
	sharedPorts.mu.Lock()
	defer sharedPorts.mu.Unlock()
	var fd int
	var err error
	if sharedPorts.count[local] > 0 {
		fd, err = s.boundTCP(local, domain, o, shareBeforeBind)
		if err == nil {
			fd, err = s.listening(fd, local, o, l)
		}
	} else {
		fd, err = s.boundTCP(local, domain, o, nil)
		if err == nil {
			fd, err = s.firstShared(fd, local, domain, o, l)
		}
	}
	if err == nil {
		sharedPorts.count[l.address]++
		l.shared = true
	}
	return fd, err
}

// shareNew is listenShared for a socket whose port the kernel chose.
func (s *Sockets) shareNew(fd int, local proactor.Address, domain int, o *proactor.SocketOptions, l *listener) (int, error) {
	if err := getsockname(fd, &s.raw); err != nil {
		unix.Close(fd)
		return -1, err
	}
	local = local.WithPort(s.Address(&s.raw, l.network).Port())
	sharedPorts.mu.Lock()
	defer sharedPorts.mu.Unlock()
	fd, err := s.firstShared(fd, local, domain, o, l)
	if err == nil {
		sharedPorts.count[l.address]++
		l.shared = true
	}
	return fd, err
}
