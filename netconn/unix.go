package netconn

import (
	"io"
	"net"
	"syscall"
)

// A UnixConn is a unix stream connection, with the methods of a net.UnixConn,
// except that ReadFrom and WriteTo are those of io.ReaderFrom and io.WriterTo, as
// a TCPConn's are.
//
// Descriptors and credentials that come beside the bytes are for ReadMsgUnix. Any
// other method that reads their first byte closes the descriptors, as read(2) does;
// so do Close, Detach and what reads less than has come.
type UnixConn struct{ Conn }

// ReadMsgUnix reads bytes, and what came beside them, in the kernel's form (SCM_RIGHTS,
// unix(7)): descriptors are the caller's then, and not inherited by children
// (O_CLOEXEC). It reads no more than came with them. What oob has no room for is
// closed, and flags has syscall.MSG_CTRUNC. addr is nil: a stream's bytes have no
// sender's address.
func (c *UnixConn) ReadMsgUnix(p, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error) {
	n, oobn, flags, err = c.readBeside(p, oob)
	if err != nil {
		err = c.opError("read", inCall("recvmsg", err))
	}
	return n, oobn, flags, nil, err
}

func (c *Conn) readBeside(p, oob []byte) (n, oobn, flags int, err error) {
	r := &c.r
	r.turn.Lock()
	defer r.turn.Unlock()
	if len(p) == 0 && len(oob) == 0 {
		return 0, 0, 0, c.closing()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if err := c.unreadable(); err != nil {
			return 0, 0, 0, err
		}
		c.useLocked()
		if r.q.n > 0 {
			break
		}
		if r.err != nil || r.shut {
			err := r.err
			if err == nil {
				err = io.EOF
			}
			return 0, 0, 0, err
		}
		r.await()
	}
	if len(p) == 0 && len(oob) > 0 {
		p = make([]byte, 1) // descriptors come with a byte
	}
	if m := c.takeBeside(r.q.head); m != nil {
		n = copy(p, r.q.head.bytes)
		oobn, flags = m.give(oob)
		m.discard(c.b)
		c.consume(r.q.head, n)
	}
	for oobn == 0 && flags == 0 && n < len(p) && r.q.head != nil && r.q.head.beside == nil {
		k := copy(p[n:], r.q.head.bytes)
		c.consume(r.q.head, k)
		n += k
	}
	if c.roomy() {
		c.post()
	}
	return n, oobn, flags, nil
}

// WriteMsgUnix writes bytes with what goes beside the first of them, which is sent for
// itself if there is none. addr must be nil.
func (c *UnixConn) WriteMsgUnix(p, oob []byte, addr *net.UnixAddr) (n, oobn int, err error) {
	if addr == nil {
		n, err = c.writeBeside(p, oob)
	} else {
		err = syscall.EISCONN
	}
	if err != nil {
		var to net.Addr
		if addr != nil {
			to = addr
		}
		return n, 0, &net.OpError{Op: "write", Net: c.network, Source: c.local, Addr: to, Err: inCall("sendmsg", err)}
	}
	return n, len(oob), nil
}

func (c *Conn) writeBeside(p, oob []byte) (n int, err error) {
	c.w.turn.Lock()
	defer c.w.turn.Unlock()
	if waited := c.writeRaw(func(fd int) bool {
		n, err = sendBeside(fd, p, oob)
		return err != syscall.EAGAIN
	}); waited != nil {
		return 0, waited
	}
	if err != nil || n >= len(p) {
		return n, err
	}
	k, err := c.sendRest(p[n:], nil)
	return n + k, err
}

// ReadFromUnix is Read; a stream's bytes have no sender's address.
func (c *UnixConn) ReadFromUnix(p []byte) (int, *net.UnixAddr, error) {
	n, err := c.read(p)
	if err != nil {
		err = c.opError("read", inCall("recvfrom", err))
	}
	return n, nil, err
}

// WriteToUnix is net.ErrWriteToConnected.
func (c *UnixConn) WriteToUnix(_ []byte, addr *net.UnixAddr) (int, error) {
	var to net.Addr
	if addr != nil {
		to = addr
	}
	return 0, &net.OpError{Op: "write", Net: c.network, Source: c.local, Addr: to, Err: net.ErrWriteToConnected}
}
