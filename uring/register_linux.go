//go:build linux && (amd64 || arm64)

package uring

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ringFDs is how many ring descriptors a thread may register (the kernel's
// IO_RINGFD_REG_MAX).
const ringFDs = 16

func (r *Ring) register(op uint32, arg unsafe.Pointer, n int) (int, syscall.Errno) {
	if r.fail != nil {
		if errno := r.fail("register", op); errno != 0 {
			return 0, errno
		}
	}
	ret, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), uintptr(op), uintptr(arg), uintptr(n), 0, 0)
	runtime.KeepAlive(r)
	return int(ret), errno
}

func registerError(op string, errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return fmt.Errorf("io_uring_register %s: %w", op, errno)
}

// Enable starts a ring made with IORING_SETUP_R_DISABLED. With
// IORING_SETUP_SINGLE_ISSUER the calling thread becomes the only one that may
// submit, wait or register: others get EEXIST.
func (r *Ring) Enable() error {
	_, errno := r.register(IORING_REGISTER_ENABLE_RINGS, nil, 0)
	return registerError("ENABLE_RINGS", errno)
}

// Restrict limits the ring to what is allowed, for good, from Enable on. Any
// other operation, flag or registration then answers EACCES. It must be
// called once, before Enable.
func (r *Ring) Restrict(allowed []Restriction) error {
	if len(allowed) == 0 {
		return registerError("RESTRICTIONS", syscall.EINVAL)
	}
	_, errno := r.register(IORING_REGISTER_RESTRICTIONS, unsafe.Pointer(&allowed[0]), len(allowed))
	return registerError("RESTRICTIONS", errno)
}

// RegisterFD registers the ring's descriptor with the calling thread, which
// makes its enters cheaper: the kernel need not look the descriptor up (kernel
// 5.18). No other thread can use the ring from then on. index is where in the thread's
// table of 16 to put it, modulo 16; if that is taken, anywhere.
func (r *Ring) RegisterFD(index int) error {
	if r.registered {
		return nil
	}
	u := rsrcUpdate{offset: uint32(index % ringFDs), data: uint64(r.fd)}
	n, errno := r.register(IORING_REGISTER_RING_FDS, unsafe.Pointer(&u), 1)
	if errno == syscall.EBUSY {
		u.offset = ^uint32(0)
		n, errno = r.register(IORING_REGISTER_RING_FDS, unsafe.Pointer(&u), 1)
	}
	if errno != 0 || n != 1 {
		return registerError("RING_FDS", errno)
	}
	r.registered = true
	r.handle, r.enterFlags = uintptr(u.offset), IORING_ENTER_REGISTERED_RING
	return nil
}

// unregisterFD works on the thread that registered only. Elsewhere the index is
// left: it goes with its thread.
func (r *Ring) unregisterFD() {
	u := rsrcUpdate{offset: uint32(r.handle)}
	_, _ = r.register(IORING_UNREGISTER_RING_FDS, unsafe.Pointer(&u), 1)
	r.registered = false
	r.handle, r.enterFlags = uintptr(r.fd), 0
}

// Registered reports whether RegisterFD has been called with success.
func (r *Ring) Registered() bool { return r.registered }

// NoIOWait makes waits not count as waiting for a disk, which otherwise shows
// an idle loop as 100 % iowait and raises the CPU's clock. It reports whether the kernel
// has that (6.15).
func (r *Ring) NoIOWait() bool {
	if r.features&IORING_FEAT_NO_IOWAIT == 0 {
		return false
	}
	r.options |= IORING_ENTER_NO_IOWAIT
	return true
}

// RegisterFiles makes the ring's table of files, with room for n and without
// any, in which entries with IOSQE_FIXED_FILE name a file by its place (kernel 5.19).
// EMFILE if n is above RLIMIT_NOFILE. A ring has one table.
func (r *Ring) RegisterFiles(n int) error {
	t := rsrcRegister{nr: uint32(n), flags: IORING_RSRC_REGISTER_SPARSE}
	_, errno := r.register(IORING_REGISTER_FILES2, unsafe.Pointer(&t), int(unsafe.Sizeof(t)))
	return registerError("FILES2", errno)
}

// UpdateFile puts the file of a descriptor, which may be closed then, at a
// place of the table; -1 empties that.
func (r *Ring) UpdateFile(place, fd int) error {
	file := int32(fd)
	u := rsrcUpdate{offset: uint32(place), data: address(unsafe.Pointer(&file))}
	_, errno := r.register(IORING_REGISTER_FILES_UPDATE, unsafe.Pointer(&u), 1)
	runtime.KeepAlive(&file)
	return registerError("FILES_UPDATE", errno)
}

// maxRegistered is how many pieces of memory a ring may have
// (IORING_MAX_REG_BUFFERS), and maxRegisteredSize how many bytes of each.
const (
	maxRegistered     = 1 << 14
	maxRegisteredSize = 1 << 30
)

// RegisterMemory has the kernel look up the pages of pieces of memory once,
// and keep them until UnregisterMemory or the ring's end: they count towards
// RLIMIT_MEMLOCK, and what goes beyond is ENOMEM. EOPNOTSUPP for mapped files. A ring
// has one set.
func (r *Ring) RegisterMemory(pieces [][]byte) error {
	v := make([]Vector, len(pieces))
	for i, p := range pieces {
		v[i].Set(p)
	}
	_, errno := r.register(IORING_REGISTER_BUFFERS, unsafe.Pointer(unsafe.SliceData(v)), len(v))
	runtime.KeepAlive(pieces)
	return registerError("BUFFERS", errno)
}

// UnregisterMemory takes RegisterMemory back. It waits for what uses the
// memory.
func (r *Ring) UnregisterMemory() error {
	_, errno := r.register(IORING_UNREGISTER_BUFFERS, nil, 0)
	return registerError("UNREGISTER_BUFFERS", errno)
}

// Ops are the operations that a kernel knows, by IORING_OP_ number.
type Ops [256]bool

// Ops asks the kernel which operations it knows. Flags of operations
// (multishot, vectorized) it does not tell: they must be tried.
func (r *Ring) Ops() (*Ops, error) {
	var p probe
	if _, errno := r.register(IORING_REGISTER_PROBE, unsafe.Pointer(&p), len(p.ops)); errno != 0 {
		return nil, registerError("PROBE", errno)
	}
	var ops Ops
	for _, op := range p.ops[:p.opsLen] {
		ops[op.op] = op.flags&IO_URING_OP_SUPPORTED != 0
	}
	return &ops, nil
}
