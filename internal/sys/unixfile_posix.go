//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A socketFile is the file of a unix listener, by what it is and not only by
// its name: somebody may have put another in its place.
type socketFile struct {
	path     string // "" if there is none
	dev, ino uint64
}

// socketFileAt returns what is at path: EADDRINUSE if it is not a socket.
func socketFileAt(path string) (socketFile, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return socketFile{}, err
	}
	if uint32(st.Mode)&unix.S_IFMT != unix.S_IFSOCK {
		return socketFile{}, unix.EADDRINUSE
	}
	return socketFile{path: path, dev: uint64(st.Dev), ino: uint64(st.Ino)}, nil
}

// remove unlinks the file if it is still the same one.
func (f *socketFile) remove() {
	if f.path == "" {
		return
	}
	if now, err := socketFileAt(f.path); err == nil && now == *f {
		unix.Unlink(f.path)
	}
	f.path = ""
}

// listenUnix returns a listening unix socket. From bind(2) to listen(2) a file
// looks stale, so that others must not judge it meanwhile: the directory is locked.
func (s *Sockets) listenUnix(local proactor.Address, o *proactor.SocketOptions, l *listener) (int, error) {
	fd, lock, err := s.unixSocket(local, unix.SOCK_STREAM, o, &l.file)
	defer lock.release()
	if err != nil {
		return -1, err
	}
	fd, err = s.listening(fd, local, o, l)
	if err != nil {
		l.file.remove()
	}
	return fd, err
}

// unixSocket returns a unix socket that is bound to local, unless it is a
// datagram socket without a path, what its file is, and the lock of the file's
// directory, which is to be released in any case. fd is -1 with an error.
func (s *Sockets) unixSocket(local proactor.Address, typ int, o *proactor.SocketOptions, file *socketFile) (int, directoryLock, error) {
	fd, err := newSocket(unix.AF_UNIX, typ)
	if err != nil {
		return -1, noLock, err
	}
	lock := noLock
	bound, hasFile := local.Path() != "" || typ == unix.SOCK_STREAM, local.Path() != "" && !local.IsAbstract()
	err = applyNew(fd, unix.AF_UNIX, local.Kind(), o)
	if err == nil && bound {
		err = s.raw.Set(local, unix.AF_UNIX)
	}
	if err == nil && hasFile {
		lock, err = lockDirectory(local.Path())
	}
	if err == nil && bound {
		err = s.bindUnix(fd, local, typ, o.Mode, lock)
	}
	if err == nil && hasFile {
		*file, err = socketFileAt(local.Path())
	}
	if err == nil && o.Mode != 0 && file.path != "" {
		// Nobody can connect a stream before listen(2): the mode is exact by then.
		err = unix.Chmod(local.Path(), o.Mode&0o7777)
	}
	if err != nil {
		file.remove()
		unix.Close(fd)
		return -1, lock, err
	}
	return fd, lock, nil
}

// bindUnix binds fd to the address in s.raw, replacing a stale file, if the
// directory is locked. The socket's own mode is what bind(2) gives the file,
// less the umask (Linux, unix(7)): with it the file is never wider open than
// asked for.
func (s *Sockets) bindUnix(fd int, local proactor.Address, typ int, mode uint32, lock directoryLock) error {
	if mode != 0 {
		// Where the kernel does not allow it, Chmod before listen must do.
		_ = unix.Fchmod(fd, mode&0o777)
	}
	err := bind(fd, &s.raw)
	if err != unix.EADDRINUSE || local.IsAbstract() {
		return err
	}
	old, err := socketFileAt(local.Path())
	if err == unix.ENOENT {
		return bind(fd, &s.raw) // gone since
	}
	if err != nil || lock == noLock || s.answers(typ) {
		return unix.EADDRINUSE
	}
	old.remove()
	return bind(fd, &s.raw)
}

// answers reports whether anybody listens, or receives, at the unix address in
// s.raw. Only ECONNREFUSED says that nobody does: a socket file without a socket.
func (s *Sockets) answers(typ int) bool {
	probe, err := newSocket(unix.AF_UNIX, typ)
	if err != nil {
		return true // unknown: leave the file alone
	}
	defer unix.Close(probe)
	return Connect(probe, &s.raw) != unix.ECONNREFUSED
}
