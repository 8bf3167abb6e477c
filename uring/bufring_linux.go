//go:build linux && (amd64 || arm64)

package uring

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A BufferRing hands buffers to the kernel, which takes one for each receive
// prepared with the ring's group (kernel 5.19). The ring itself is memory shared with the
// kernel; the buffers are the caller's, must not be Go heap memory, and must stay
// until the last completion of whatever could take them.
//
// With IOU_PBUF_RING_INC (kernel 6.12) receives append to the first buffer until it
// is full: each completion covers the bytes behind those of the one before on the
// same buffer, and the buffer is the caller's again after the first without
// IORING_CQE_F_BUF_MORE. Completions must then be looked at in order.
type BufferRing struct {
	ring    *Ring
	group   uint16
	entries []buf
	at      unsafe.Pointer
	size    uintptr
	tail    uint16
	shown   uint16 // the tail that the kernel knows
}

// NewBufferRing registers an empty ring of entries (a power of two, up to
// 32768) as the given group. flags are 0 or IOU_PBUF_RING_INC; EINVAL if the
// kernel does not have that.
func (r *Ring) NewBufferRing(group uint16, entries int, flags uint16) (*BufferRing, error) {
	if entries <= 0 || entries > 32768 || entries&(entries-1) != 0 {
		return nil, fmt.Errorf("buffer ring: %d entries, want a power of two up to 32768: %w", entries, syscall.EINVAL)
	}
	size := uintptr(entries) * unsafe.Sizeof(buf{})
	at, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("buffer ring: %w", err)
	}
	reg := bufReg{ringAddr: uint64(uintptr(at)), ringEntries: uint32(entries), bgid: group, flags: flags}
	if _, errno := r.register(IORING_REGISTER_PBUF_RING, unsafe.Pointer(&reg), 1); errno != 0 {
		_ = unix.MunmapPtr(at, size)
		return nil, registerError("PBUF_RING", errno)
	}
	return &BufferRing{ring: r, group: group, entries: unsafe.Slice((*buf)(at), entries), at: at, size: size}, nil
}

// Group returns the number to give to receives that take their buffer here.
func (b *BufferRing) Group() uint16 { return b.group }

// Add gives a buffer to the kernel under an id of the caller's, from the next
// Publish on. There must never be more in the ring than it has entries.
//
// Entry 0 is written field by field, as its last one is the tail.
func (b *BufferRing) Add(memory []byte, id uint16) {
	e := &b.entries[int(b.tail)&(len(b.entries)-1)]
	e.addr, e.len, e.bid = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory)))), uint32(len(memory)), id
	b.tail++
}

// Publish shows the kernel what was added. Go has no 16-bit atomics: one
// 32-bit store covers entry 0's id, which only we write, and the tail in its
// upper half (both architectures here are little endian).
func (b *BufferRing) Publish() {
	if b.shown == b.tail {
		return
	}
	b.shown = b.tail
	word := (*uint32)(unsafe.Add(b.at, unsafe.Offsetof(buf{}.bid)))
	atomic.StoreUint32(word, uint32(b.entries[0].bid)|uint32(b.tail)<<16)
}

// Close unregisters the ring and frees its memory. Nothing may be in flight
// that could still take a buffer.
func (b *BufferRing) Close() error {
	reg := bufReg{bgid: b.group}
	_, errno := b.ring.register(IORING_UNREGISTER_PBUF_RING, unsafe.Pointer(&reg), 1)
	if errno != 0 {
		return registerError("UNREGISTER_PBUF_RING", errno) // the kernel may still look at the memory: leave it
	}
	return unix.MunmapPtr(b.at, b.size)
}
