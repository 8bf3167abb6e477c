//go:build linux && (amd64 || arm64)

package uring

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Ring is one io_uring instance: a submission queue, a completion queue and
// a descriptor. It belongs to one goroutine at a time, and that goroutine to
// one thread if the ring was set up with IORING_SETUP_SINGLE_ISSUER.
//
//	NextSQE, Prep…          entries are filled in, in the mapped queue
//	Submit, Wait            one system call takes all of them
//	NextCQE                 results, until there is none
type Ring struct {
	fd       int
	features uint32
	flags    uint32
	options  uint32 // flags of every enter that may wait: IORING_ENTER_NO_IOWAIT

	handle     uintptr // what enter is called with: fd, or its registered index
	registered bool
	enterFlags uint32 // IORING_ENTER_REGISTERED_RING, if registered

	sq  sqRing
	cq  cqRing
	arg geteventsArg
	ts  timespec

	aside []CQE // completions taken out while another was looked for: from first on they come before the queue's
	first int

	maps [3]mapping
	fail func(call string, op uint32) syscall.Errno // tests only: what to fail instead of calling the kernel

	fake  fake   // tests only
	shown uint32 // entries that the fake has seen, as sq.next counts them
}

type sqRing struct {
	head, tail, flags *uint32
	entries           []SQE
	mask              uint32
	next              uint32 // our tail, not yet the kernel's
}

type cqRing struct {
	head, tail, overflow *uint32
	entries              []CQE
	mask                 uint32
}

type mapping struct {
	at unsafe.Pointer
	n  uintptr
}

// A Setup says how a ring is made.
type Setup struct {
	Entries   int    // of the submission queue; the kernel rounds up to a power of two
	CQEntries int    // of the completion queue; 0 means twice as many as Entries
	Flags     uint32 // IORING_SETUP_…; IORING_SETUP_CQSIZE goes without saying
	Optional  uint32 // flags that are tried as well, and left out if the kernel refuses them

	fail func(call string, op uint32) syscall.Errno // tests only
	fake fake                                       // tests only
}

// unsupportedSetup are the flags that change the layout of what is mapped.
const unsupportedSetup = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY |
	IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL

// NewRing makes a ring and maps its queues. The error, if any, wraps the
// system call's errno: EPERM for a seccomp filter or the sysctl
// kernel.io_uring_disabled, ENOSYS for a kernel without io_uring, EINVAL for one
// that does not know a flag, ENOMEM, EMFILE. See io_uring_setup(2).
func NewRing(s Setup) (*Ring, error) {
	if s.Flags&unsupportedSetup != 0 || s.Optional&unsupportedSetup != 0 {
		return nil, fmt.Errorf("io_uring_setup: flags %#x are not supported here: %w", s.Flags|s.Optional, syscall.EINVAL)
	}
	p := params{flags: s.Flags | s.Optional}
	if s.CQEntries > 0 {
		p.flags |= IORING_SETUP_CQSIZE
		p.cqEntries = uint32(s.CQEntries)
	}
	r := &Ring{fail: s.fail, fake: s.fake}
	wanted := p
	errno := r.setup(s.Entries, &p)
	if errno == syscall.EINVAL && s.Optional != 0 {
		p = wanted
		p.flags &^= s.Optional
		errno = r.setup(s.Entries, &p)
	}
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	r.handle = uintptr(r.fd)
	r.features, r.flags = p.features, p.flags
	if p.features&IORING_FEAT_SINGLE_MMAP == 0 || p.features&IORING_FEAT_NODROP == 0 {
		_ = r.Close()
		return nil, fmt.Errorf("io_uring_setup: features are %#x, without SINGLE_MMAP or NODROP: %w", p.features, syscall.EINVAL)
	}
	if err := r.mapQueues(&p); err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("io_uring: map queues: %w", err)
	}
	return r, nil
}

func (r *Ring) setup(entries int, p *params) syscall.Errno {
	if r.fail != nil {
		if errno := r.fail("setup", p.flags); errno != 0 {
			return errno
		}
	}
	fd, _, errno := syscall.RawSyscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
	r.fd = int(fd)
	if errno != 0 {
		r.fd = -1
	}
	return errno
}

func (r *Ring) mapQueues(p *params) error {
	sqSize := uintptr(p.sqOff.array + p.sqEntries*4)
	if p.flags&IORING_SETUP_NO_SQARRAY != 0 {
		sqSize = uintptr(p.sqOff.flags + 4)
	}
	size := max(sqSize, uintptr(p.cqOff.cqes)+uintptr(p.cqEntries)*unsafe.Sizeof(CQE{}))
	base, err := r.mapAt(0, IORING_OFF_SQ_RING, size)
	if err != nil {
		return err
	}
	sqes, err := r.mapAt(1, IORING_OFF_SQES, uintptr(p.sqEntries)*unsafe.Sizeof(SQE{}))
	if err != nil {
		return err
	}
	word := func(offset uint32) *uint32 { return (*uint32)(unsafe.Add(base, offset)) }
	r.sq = sqRing{
		head: word(p.sqOff.head), tail: word(p.sqOff.tail), flags: word(p.sqOff.flags),
		mask:    p.sqEntries - 1,
		entries: unsafe.Slice((*SQE)(sqes), p.sqEntries),
		next:    atomic.LoadUint32(word(p.sqOff.tail)),
	}
	r.cq = cqRing{
		head: word(p.cqOff.head), tail: word(p.cqOff.tail), overflow: word(p.cqOff.overflow),
		mask:    p.cqEntries - 1,
		entries: unsafe.Slice((*CQE)(unsafe.Add(base, p.cqOff.cqes)), p.cqEntries),
	}
	if p.flags&IORING_SETUP_NO_SQARRAY == 0 {
		array := unsafe.Slice((*uint32)(unsafe.Add(base, p.sqOff.array)), p.sqEntries)
		for i := range array {
			array[i] = uint32(i)
		}
	}
	return nil
}

func (r *Ring) mapAt(i int, offset int64, size uintptr) (unsafe.Pointer, error) {
	at, err := unix.MmapPtr(r.fd, offset, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	r.maps[i] = mapping{at, size}
	return at, nil
}

// Close unmaps the queues and closes the descriptor. The kernel ends what is
// still in flight some time later: whoever lent it memory cancels first and
// waits for the last completion. Idempotent.
func (r *Ring) Close() error {
	if r.fd < 0 {
		return nil
	}
	if r.registered {
		r.unregisterFD()
	}
	for i, m := range r.maps {
		if m.at != nil {
			_ = unix.MunmapPtr(m.at, m.n)
		}
		r.maps[i] = mapping{}
	}
	r.sq, r.cq = sqRing{}, cqRing{}
	err := unix.Close(r.fd)
	r.fd = -1
	return err
}

// FD returns the ring's descriptor.
func (r *Ring) FD() int { return r.fd }

// Features returns the IORING_FEAT_… bits that the kernel reported.
func (r *Ring) Features() uint32 { return r.features }

// Flags returns the IORING_SETUP_… bits that the ring was made with: those of
// [Setup].Optional only if the kernel took them.
func (r *Ring) Flags() uint32 { return r.flags }

// Entries returns the sizes of the two queues, as the kernel rounded them.
func (r *Ring) Entries() (sq, cq int) { return len(r.sq.entries), len(r.cq.entries) }
