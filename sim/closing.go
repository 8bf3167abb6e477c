package sim

import (
	"fmt"
	"slices"
	"syscall"

	"mobius/proactor"
)

// CloseFD closes h.
func (b *Backend) CloseFD(h proactor.Handle) error {
	s, err := b.giveUp(h)
	if err != nil {
		return err
	}
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	b.dropHandle(s)
	s.unref()
	return nil
}

// giveUp finds h and ends its token, which may wait for a guest who is inside
// TryWrite, and so must not have the lock.
func (b *Backend) giveUp(h proactor.Handle) (*socket, error) {
	b.net.mu.Lock()
	p := b.place(h)
	switch {
	case p == nil:
		b.net.mu.Unlock()
		return nil, proactor.ErrClosed
	case p.sock.active > 0 || p.sock.pins > 0:
		b.net.mu.Unlock()
		return nil, proactor.ErrBusy
	}
	b.net.mu.Unlock()
	p.token.End(h)
	return p.sock, nil
}

// close ends s, which no handle names any more.
func (s *socket) close() {
	n := s.net
	n.trace(uint64(s.id)<<32|2<<31, uint64(n.now))
	s.closed = true
	switch s.kind {
	case aStream:
		s.closeStream()
	case aListener:
		for _, c := range s.listen.backlog {
			c.abort()
		}
		s.listen.backlog = nil
		s.listen.admit(n, len(s.listen.waiters)) // they find nobody
	case aPacket:
		n.closeMail(s)
	case aChild:
		if !s.child.exited {
			s.child.run.stop()
			s.child.exit(s)
		}
	}
	if !s.stale {
		n.unbind(s)
	}
}

// closeStream ends a stream: with a reset if the owner wants it or if there is
// something left to read (RFC 2525, 2.17; unix(7) likewise), else with the end of
// the stream after all that was sent.
func (s *socket) closeStream() {
	p := s.peer
	switch {
	case p == nil:
	case s.linger:
		s.sendReset()
	case s.rx.arrived > 0:
		s.sendReset()
	default:
		s.sendEnd()
	}
	s.dropMarks(0)
	if s.rx.buf != nil && cap(s.rx.buf) <= s.net.o.StreamBuffer && len(s.net.spare) < 64 {
		s.net.spare = append(s.net.spare, s.rx.buf[:0])
	}
	s.rx.buf, s.rx.off, s.rx.arrived = nil, 0, 0
	if p != nil {
		p.wakeWriter() // it fails at once on a unix socket, later on TCP
		p.wakePolls()
	}
}

// abort closes s with a reset.
func (s *socket) abort() {
	s.linger = true
	s.close()
}

// Crash ends b as the death of its process would: everything is closed, but
// nothing is tidied up, so that the files of unix listeners stay behind, stale.
// It leaves nothing for [Net.Leaks] to find.
func (b *Backend) Crash() { b.shut(true) }

// Close cancels everything that is active without a word to its owner, closes
// every handle, and frees b. What was still open is reported by [Net.Leaks].
func (b *Backend) Close() error {
	b.shut(false)
	return nil
}

func (b *Backend) shut(crash bool) {
	n := b.net
	n.mu.Lock()
	if b.closed {
		n.mu.Unlock()
		return
	}
	if !crash {
		n.lost = append(n.lost, b.leftovers()...)
	}
	b.closed = true
	for i := range b.slots {
		if op := b.slots[i].op; op != nil {
			b.retire(op)
			op.B.State = proactor.Idle
		}
	}
	var open []proactor.Handle
	for _, p := range b.places {
		if p.sock != nil {
			open = append(open, p.sock.handle)
			p.sock.pins = 0
			p.sock.stale = crash && p.sock.kind == aListener && !p.sock.local.IsAbstract()
		}
	}
	n.backends = slices.DeleteFunc(n.backends, func(o *Backend) bool { return o == b })
	n.changed()
	n.mu.Unlock()
	b.dropAllPins()
	for _, h := range open {
		if err := b.CloseFD(h); err != nil {
			panic("sim: Close: " + err.Error())
		}
	}
}

// String returns s in words.
func (s *socket) String() string {
	if s == nil {
		return "nothing"
	}
	text := fmt.Sprintf("socket %d", s.id)
	if s.host != nil {
		text = "handle " + s.handle.String()
	}
	switch {
	case s.kind == aListener:
		return text + " (listens on " + s.local.String() + ")"
	case s.kind == aChild:
		return text + " (child)"
	case s.remote.IsValid() && s.remote.String()+s.local.String() != "":
		return text + " (" + s.local.String() + " to " + s.remote.String() + ")"
	case s.local.String() != "":
		return text + " (" + s.local.String() + ")"
	}
	return text
}

// Adopt takes over a virtual descriptor: one that Detach, [Net.Pair] or a
// Recv's Files have given out.
func (b *Backend) Adopt(fd int) (proactor.Handle, error) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	s := b.net.files[fd]
	if s == nil {
		return 0, syscall.EBADF
	}
	if b.closed {
		return 0, proactor.ErrClosed
	}
	if s.host != nil {
		return 0, syscall.EBUSY // a duplicate of something that has a handle already
	}
	h, err := b.newHandle(s)
	if err != nil {
		return 0, err
	}
	delete(b.net.files, fd)
	return h, nil
}

// Detach gives up h for a virtual descriptor, which any backend of the network
// may Adopt.
func (b *Backend) Detach(h proactor.Handle) (int, error) {
	s, err := b.giveUp(h)
	if err != nil {
		return -1, err
	}
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	b.dropHandle(s)
	return b.net.newFile(s), nil
}

// Number is not for virtual descriptors, which no system call knows.
func (b *Backend) Number(proactor.Handle) (int, error) { return -1, proactor.ErrUnsupported }

// Duplicate returns another virtual descriptor of the same file.
func (b *Backend) Duplicate(fd int) (int, error) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	if err := b.mayOpen(); err != nil {
		return 0, err
	}
	twins, err := b.net.duplicate([]int{fd})
	if err != nil {
		return 0, err
	}
	return twins[0], nil
}

// Discard closes a virtual descriptor; see [Net.CloseFile].
func (b *Backend) Discard(fd int) error { return b.net.CloseFile(fd) }
