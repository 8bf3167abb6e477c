package sim

import (
	"slices"
	"syscall"

	"mobius/proactor"
)

// Virtual descriptors name sockets that no backend has a handle for: those
// that were detached, that travel with the bytes of a unix stream, or that a
// test has made. They belong to the network, so that one backend's Detach is
// another's Adopt. Their numbers mean nothing to the operating system.

// newFile returns a descriptor that names s, CLOEXEC and O_NONBLOCK like all.
func (n *Net) newFile(s *socket) int {
	n.nextFile++
	n.files[n.nextFile] = s
	return n.nextFile
}

// duplicate returns descriptors for the same things as files, or EBADF.
func (n *Net) duplicate(files []int) ([]int, error) {
	for _, fd := range files {
		if n.files[fd] == nil {
			return nil, syscall.EBADF
		}
	}
	twins := make([]int, 0, len(files))
	for _, fd := range files {
		n.files[fd].refs++
		twins = append(twins, n.newFile(n.files[fd]))
	}
	return twins, nil
}

func (n *Net) closeFiles(files []int) {
	for _, fd := range files {
		n.closeFile(fd)
	}
}

func (n *Net) closeFile(fd int) error {
	s := n.files[fd]
	if s == nil {
		return syscall.EBADF
	}
	delete(n.files, fd)
	s.unref()
	return nil
}

// unref closes s when its last name has gone.
func (s *socket) unref() {
	if s.refs > 0 {
		s.refs--
		return
	}
	s.close()
}

// CloseFile closes a virtual descriptor, as close(2) would; EBADF if there is
// no such.
func (n *Net) CloseFile(fd int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.closeFile(fd)
}

// Pair returns the virtual descriptors of two unix stream sockets that are
// connected to each other, as socketpair(2) would.
func (n *Net) Pair() (a, b int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	x, y := n.pair()
	return n.newFile(x), n.newFile(y)
}

func (n *Net) pair() (x, y *socket) {
	x, y = n.newSocket(aStream), n.newSocket(aStream)
	for _, s := range [...]*socket{x, y} {
		s.local, s.remote = proactor.UnixAddress(""), proactor.UnixAddress("")
	}
	join(x, y, unixLatency)
	x.link = linked
	return x, y
}

// File returns the virtual descriptor of a regular file: something that cannot
// be polled, and so is always ready.
func (n *Net) File() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.newFile(n.newSocket(aFile))
}

// PutFile puts something at a path that is no socket: Listen answers
// EADDRINUSE there, and Connect ECONNREFUSED.
func (n *Net) PutFile(path string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paths[proactor.UnixAddress(path)] = n.newSocket(aFile)
}

// Files returns the virtual descriptors that are open, in ascending order.
func (n *Net) Files() []int {
	n.mu.Lock()
	defer n.mu.Unlock()
	var open []int
	for fd := range n.files {
		open = append(open, fd)
	}
	slices.Sort(open)
	return open
}
