//go:build linux && (amd64 || arm64)

package uring

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// errLate is what Linux before 6.13 is guilty of: it closed what left the table
// only when every older request on any of its files had ended.
var errLate = errors.New("the kernel closes a socket that leaves the ring's table late, 6.13 is needed")

// direct plays the life of two sockets in a table: one is read from, by a
// request that waits, has a descriptor for a moment, and meanwhile the other leaves the table, whose peer
// must hear of it at once. Then a connection is accepted into a place.
//
// The table goes with the ring: older kernels, when asked to end it, wait for
// requests that nothing ends any more.
func (t *trial) direct() error {
	if err := t.r.RegisterFiles(3); err != nil {
		return err
	}
	closePair, err := t.pair()
	if err != nil {
		return err
	}
	defer closePair()
	if err := t.r.UpdateFile(0, t.a); err != nil {
		return err
	}
	into := make([]byte, 1)
	e := t.entry()
	e.PrepRecv(0, into, 0, t.user)
	e.Flags |= IOSQE_FIXED_FILE
	reading := t.user
	if err := t.leaves(); err != nil {
		return err
	}
	if err := t.installs(); err != nil {
		return err
	}
	if _, err := unix.Write(t.b, []byte{1}); err != nil {
		return err
	}
	t.user = reading
	err = t.wants(1)
	runtime.KeepAlive(into)
	if err != nil {
		return err
	}
	return t.acceptDirect()
}

// leaves has a socket come into the table and leave it.
func (t *trial) leaves() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fds[1])
	err = t.r.UpdateFile(1, fds[0])
	_ = unix.Close(fds[0])
	if err != nil {
		return err
	}
	if _, err := t.r.Wait(0, 0); err != nil { // the receive is under way
		return err
	}
	if err := t.r.UpdateFile(1, -1); err != nil {
		return err
	}
	if n, err := unix.Read(fds[1], make([]byte, 1)); n != 0 || err != nil {
		return errLate
	}
	return nil
}

// installs has the socket at place 0 get a descriptor.
func (t *trial) installs() error {
	t.entry().PrepInstall(0, t.user)
	c, err := t.next()
	if err != nil {
		return err
	}
	fd, err := result(c)
	if err != nil {
		return err
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	_ = unix.Close(fd)
	return err
}

// acceptDirect accepts a connection into place 2.
func (t *trial) acceptDirect() error {
	l, name, err := listenAnywhere()
	if err != nil {
		return err
	}
	defer unix.Close(l)
	t.entry().PrepAcceptDirect(l, 2, unix.SOCK_NONBLOCK, t.user)
	d, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(d)
	if err := unix.Connect(d, name); err != nil {
		return err
	}
	return t.wants(0)
}

// wants waits for a result.
func (t *trial) wants(res int32) error {
	c, err := t.next()
	switch {
	case err != nil:
		return err
	case c.Res < 0:
		return syscall.Errno(-c.Res)
	case c.Res != res:
		return fmt.Errorf("%w: %d, want %d", errResult, c.Res, res)
	}
	return nil
}
