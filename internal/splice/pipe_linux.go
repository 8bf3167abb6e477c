//go:build linux

package splice

import (
	"golang.org/x/sys/unix"
)

// A Pipe carries bytes from one descriptor to another.
type Pipe struct {
	r, w int
	size int // bytes it takes
	n    int // bytes in it
}

// newPipe returns a pipe of about the given size. The kernel may allow less:
// an unprivileged user beyond pipe-user-pages-soft gets what it gives to all.
func newPipe(size int) (*Pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	p := &Pipe{r: fds[0], w: fds[1]}
	// EPERM beyond the user's budget, EBUSY, EINVAL: it stays as it is.
	_, _ = unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, size)
	got, err := unix.FcntlInt(uintptr(p.w), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		p.close()
		return nil, err
	}
	p.size = got
	return p, nil
}

func (p *Pipe) close() {
	unix.Close(p.r)
	unix.Close(p.w)
}

// Len returns how many bytes are in the pipe.
func (p *Pipe) Len() int { return p.n }

// Size returns how many bytes it takes at most.
func (p *Pipe) Size() int { return p.size }

// Fill moves up to limit bytes from src into the pipe, which is best empty: 0
// and no error mean the end of src, EAGAIN that nothing is there, or that the
// pipe is full; EINVAL that src cannot be spliced.
func (p *Pipe) Fill(src, limit int) (int, unix.Errno) {
	n, e := move(src, p.w, min(limit, p.size))
	p.n += n
	return n, e
}

// Drain moves up to limit bytes from the pipe, which must hold some, to dst.
// EAGAIN means that dst takes none now, EINVAL that it cannot be spliced to.
func (p *Pipe) Drain(dst, limit int) (int, unix.Errno) {
	n, e := move(p.r, dst, min(limit, p.n))
	p.n -= n
	return n, e
}

// Rest reads out what is in the pipe, and leaves it empty.
func (p *Pipe) Rest() []byte {
	rest := make([]byte, p.n)
	at := 0
	for at < len(rest) {
		n, err := unix.Read(p.r, rest[at:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			break // cannot be: p.n bytes are in it
		}
		at += n
	}
	p.n = 0
	return rest[:at]
}

// move is splice(2), which tells the scheduler: a full pipe takes a while.
func move(from, to, limit int) (int, unix.Errno) {
	for {
		n, _, e := unix.Syscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(limit),
			unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		switch e {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, e
		}
	}
}
