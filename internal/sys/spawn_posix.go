//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// maxChildFD is the largest number of a descriptor that a Command may name,
// and scannedFDs up to where this process is searched for descriptors that
// would be inherited by accident: those it was started with have low numbers,
// and Go makes all others CLOEXEC.
const (
	maxChildFD = 1023
	scannedFDs = 255
)

// closedFD in syscall.ProcAttr.Files closes the number in the child.
const closedFD = ^uintptr(0)

// A spawn is a child being made: what must be closed when it is, or is not.
type spawn struct {
	theirs []int // ends for the child: closed in any case
	ours   []int // ends for the parent, in order: closed if it fails
	attr   syscall.ProcAttr
	sys    syscall.SysProcAttr
	pidfd  int
}

// Spawn implements proactor.Sockets.
func (s *Sockets) Spawn(c *proactor.Command) (proactor.Handle, []proactor.Handle, error) {
	if s.closed {
		return 0, nil, proactor.ErrClosed
	}
	p := spawn{pidfd: -1}
	pid, err := p.start(c)
	closeAll(p.theirs)
	if err == nil {
		p.pidfd, err = childFD(pid, p.pidfd)
	}
	if err != nil {
		closeAll(p.ours)
		return 0, nil, err
	}
	e := s.Open(p.pidfd, Child, proactor.NoNetwork)
	e.child = &child{pid: pid}
	pipes := make([]proactor.Handle, 0, len(p.ours))
	for _, fd := range p.ours {
		pipes = append(pipes, s.Open(fd, Other, proactor.NoNetwork).Handle())
	}
	return e.Handle(), pipes, nil
}

// start makes the descriptors and the process.
func (p *spawn) start(c *proactor.Command) (int, error) {
	if err := p.layOut(c); err != nil {
		return 0, err
	}
	p.sys.Setsid = c.Setsid || c.PTY
	p.sys.Setctty = c.Setctty || c.PTY
	if c.User != nil {
		p.sys.Credential = &syscall.Credential{Uid: c.User.UID, Gid: c.User.GID, Groups: c.User.Groups}
	}
	p.askPidfd()
	p.attr.Dir, p.attr.Env, p.attr.Sys = c.Dir, c.Env, &p.sys
	args := c.Args
	if len(args) == 0 {
		args = []string{c.Path}
	}
	return syscall.ForkExec(c.Path, args, &p.attr)
}

// layOut makes the table of the child's descriptors.
func (p *spawn) layOut(c *proactor.Command) error {
	if c.PTY {
		master, slave, err := openPTY()
		if err != nil {
			return err
		}
		p.ours, p.theirs = append(p.ours, master), append(p.theirs, slave)
		for fd := range 3 {
			if err := p.put(fd, slave); err != nil {
				return err
			}
		}
	}
	for _, pipe := range c.Pipes {
		mine, theirs, err := newPipe(pipe.Write)
		if err != nil {
			return err
		}
		p.ours, p.theirs = append(p.ours, mine), append(p.theirs, theirs)
		if err := p.put(pipe.FD, theirs); err != nil {
			return err
		}
	}
	for _, f := range c.Files {
		if _, err := unix.FcntlInt(uintptr(f.Parent), unix.F_GETFD, 0); err != nil {
			return fmt.Errorf("spawn: descriptor %d for the child's %d: %w", f.Parent, f.FD, err)
		}
		if err := p.put(f.FD, f.Parent); err != nil {
			return err
		}
	}
	for fd := 3; fd <= scannedFDs; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			p.grow(fd)
		}
	}
	return nil
}

// put makes parent the child's descriptor fd.
func (p *spawn) put(fd, parent int) error {
	if fd < 0 || fd > maxChildFD {
		return fmt.Errorf("spawn: descriptor %d of the child: want 0 to %d: %w", fd, maxChildFD, unix.EINVAL)
	}
	p.grow(fd)
	if p.attr.Files[fd] != closedFD {
		return fmt.Errorf("spawn: descriptor %d of the child is named twice: %w", fd, unix.EINVAL)
	}
	p.attr.Files[fd] = uintptr(parent)
	return nil
}

// grow makes the table reach to fd, with closed descriptors.
func (p *spawn) grow(fd int) {
	for len(p.attr.Files) <= fd {
		p.attr.Files = append(p.attr.Files, closedFD)
	}
}

// newPipe returns the two ends of a pipe, CLOEXEC; the parent's is O_NONBLOCK.
func newPipe(write bool) (mine, theirs int, err error) {
	var fds [2]int
	if err := pipe(&fds); err != nil {
		return -1, -1, err
	}
	mine, theirs = fds[0], fds[1]
	if write {
		mine, theirs = fds[1], fds[0]
	}
	if err := unix.SetNonblock(mine, true); err != nil {
		closeAll(fds[:])
		return -1, -1, err
	}
	return mine, theirs, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
