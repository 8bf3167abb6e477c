//go:build linux

package netconn

import (
	"io"
	"io/fs"
	"syscall"
)

// sendfileMost is the most that one sendfile(2) is asked for.
const sendfileMost = 4 << 20

// sendFile sends a regular file from its offset on, which goes on with it, as
// package net does: by sendfile(2). It reports false if r is none, or if its
// filesystem cannot; then nothing was sent.
func (c *Conn) sendFile(r io.Reader, limit int64) (total int64, handled bool, err error) {
	f, ok := r.(interface {
		fs.File
		syscall.Conn
	})
	if !ok {
		return 0, false, nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return 0, false, nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, false, nil
	}
	c.w.turn.Lock()
	defer c.w.turn.Unlock()
	if failed := raw.Read(func(file uintptr) bool {
		waiting := c.writeRaw(func(socket int) bool {
			var n int
			n, err = sendSome(socket, int(file), limit-total)
			total += int64(n)
			return err != syscall.EAGAIN
		})
		if waiting != nil {
			err = waiting
		}
		return true
	}); failed != nil {
		return 0, false, nil // the file is closed: Read tells
	}
	if total == 0 && (err == syscall.EINVAL || err == syscall.ENOSYS || err == syscall.EOPNOTSUPP) {
		return 0, false, nil
	}
	return total, true, err
}

// sendSome sends until the file's end, the limit, or an error.
func sendSome(socket, file int, limit int64) (total int, err error) {
	for int64(total) < limit {
		n, err := syscall.Sendfile(socket, file, nil, int(min(limit-int64(total), sendfileMost)))
		if n > 0 {
			total += n
		}
		if err != syscall.EINTR && (err != nil || n <= 0) {
			return total, err
		}
	}
	return total, nil
}
