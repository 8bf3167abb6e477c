package sim

import (
	"cmp"
	"syscall"

	"mobius/proactor"
)

// SetOptions applies options to a live socket. Of a stream's only the sizes of
// buffers mean something here; all can be read back.
func (b *Backend) SetOptions(h proactor.Handle, o *proactor.SocketOptions) error {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	s := b.sock(h)
	if s == nil {
		return proactor.ErrClosed
	}
	if r := s.reader; r != nil && r.Kind == proactor.OpRecvFrom && r.Msg == nil && o.SegmentedReceive == proactor.On {
		return proactor.ErrSegments
	}
	s.merge(o)
	if p := s.peer; p != nil {
		s.rx.limit, p.rx.limit = room(s, p), room(p, s)
		s.wakeWriter()
		p.wakeWriter()
	}
	return nil
}

// merge takes over what is not zero in o.
func (s *socket) merge(o *proactor.SocketOptions) {
	to := &s.opt
	to.SendBuffer = cmp.Or(o.SendBuffer, to.SendBuffer)
	to.RecvBuffer = cmp.Or(o.RecvBuffer, to.RecvBuffer)
	to.Delay = cmp.Or(o.Delay, to.Delay)
	to.KeepAlive = cmp.Or(o.KeepAlive, to.KeepAlive)
	to.KeepAliveInterval = cmp.Or(o.KeepAliveInterval, to.KeepAliveInterval)
	to.KeepAliveCount = cmp.Or(o.KeepAliveCount, to.KeepAliveCount)
	to.UserTimeout = cmp.Or(o.UserTimeout, to.UserTimeout)
	to.NotSentLowat = cmp.Or(o.NotSentLowat, to.NotSentLowat)
	to.TTL = cmp.Or(o.TTL, to.TTL)
	to.Broadcast = cmp.Or(o.Broadcast, to.Broadcast)
	to.MulticastTTL = cmp.Or(o.MulticastTTL, to.MulticastTTL)
	to.MulticastLoop = cmp.Or(o.MulticastLoop, to.MulticastLoop)
	to.MulticastInterface = cmp.Or(o.MulticastInterface, to.MulticastInterface)
	to.RecvTrafficClass = cmp.Or(o.RecvTrafficClass, to.RecvTrafficClass)
	to.RecvTTL = cmp.Or(o.RecvTTL, to.RecvTTL)
	to.RecvLocal = cmp.Or(o.RecvLocal, to.RecvLocal)
	to.RecvCredentials = cmp.Or(o.RecvCredentials, to.RecvCredentials)
	to.SegmentedReceive = cmp.Or(o.SegmentedReceive, to.SegmentedReceive)
}

// Options reads back the options of a socket, with the defaults of Linux.
func (b *Backend) Options(h proactor.Handle) (proactor.SocketOptions, error) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	s := b.sock(h)
	if s == nil {
		return proactor.SocketOptions{}, proactor.ErrClosed
	}
	o := s.opt
	o.Local, o.Backlog, o.ReusePort, o.Mode, o.FreeBind = proactor.Address{}, 0, false, 0, false
	switch {
	case s.kind == aPacket && !s.local.IsUnix():
		o.TTL = cmp.Or(o.TTL, 64)
		o.Broadcast = cmp.Or(o.Broadcast, proactor.Off)
		o.MulticastTTL = cmp.Or(o.MulticastTTL, 1)
		o.MulticastLoop = cmp.Or(o.MulticastLoop, proactor.On)
	case (s.kind == aStream || s.kind == aListener) && !s.local.IsUnix():
		o.Delay = cmp.Or(o.Delay, proactor.Off)
		if o.KeepAlive == 0 {
			o.KeepAlive = 15e9
		}
		o.KeepAliveInterval = cmp.Or(o.KeepAliveInterval, o.KeepAlive)
		o.KeepAliveCount = cmp.Or(o.KeepAliveCount, 9)
		if o.KeepAlive < 0 {
			o.KeepAlive = -1
		}
	}
	return o, nil
}

// PeerCredentials says who made the other end: a process for each backend.
func (b *Backend) PeerCredentials(h proactor.Handle) (proactor.Credentials, error) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	s := b.sock(h)
	switch {
	case s == nil:
		return proactor.Credentials{}, proactor.ErrClosed
	case s.kind == aFile || s.kind == aChild || !s.local.IsUnix():
		return proactor.Credentials{}, syscall.EOPNOTSUPP
	case s.peer == nil:
		return proactor.Credentials{}, syscall.ENOTCONN
	}
	return credentials(s.peer), nil
}

// credentials are those of a socket's owner.
func credentials(s *socket) proactor.Credentials {
	c := proactor.Credentials{PID: firstPID, UID: 1000, GID: 1000}
	if s.host != nil {
		c.PID += s.host.index
	}
	return c
}

// firstPID is the number of the process that has a network's first backend;
// children come after those of all backends.
const firstPID = 1000
