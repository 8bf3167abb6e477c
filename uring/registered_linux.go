//go:build linux && (amd64 || arm64)

package uring

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A region is a piece of registered memory, by its addresses. Its index among the
// others is the kernel's, too.
type region struct{ from, to uint64 }

func regionOf(p []byte) region {
	at := address(unsafe.Pointer(unsafe.SliceData(p)))
	return region{at, at + uint64(len(p))}
}

// checkMemory says what is wrong with Options.ZeroCopy and Options.Memory.
func (o Options) checkMemory() error {
	switch {
	case o.ZeroCopy < 0:
		return fmt.Errorf("Options.ZeroCopy is %d, want 0 or more: %w", o.ZeroCopy, unix.EINVAL)
	case o.ZeroCopy == 0 && len(o.Memory) > 0:
		return fmt.Errorf("Options.Memory is for ZeroCopy, which is 0: %w", unix.EINVAL)
	case len(o.Memory) > maxRegistered:
		return fmt.Errorf("Options.Memory has %d pieces, want at most %d: %w", len(o.Memory), maxRegistered, unix.EINVAL)
	}
	all := sorted(o.Memory)
	for i, p := range all {
		if len(p) == 0 || len(p) > maxRegisteredSize {
			return fmt.Errorf("Options.Memory has a piece of %d bytes, want 1 to %d: %w", len(p), maxRegisteredSize, unix.EINVAL)
		}
		if i > 0 && regionOf(all[i-1]).to > regionOf(p).from {
			return fmt.Errorf("Options.Memory has pieces that overlap: %w", unix.EINVAL)
		}
	}
	return nil
}

// sorted returns the pieces by their addresses.
func sorted(pieces [][]byte) [][]byte {
	pieces = slices.Clone(pieces)
	slices.SortFunc(pieces, func(a, b []byte) int { return cmp.Compare(regionOf(a).from, regionOf(b).from) })
	return pieces
}

// openMemory registers Options.Memory.
func (b *Backend) openMemory() error {
	if len(b.o.Memory) == 0 {
		return nil
	}
	all, size := sorted(b.o.Memory), 0
	for _, p := range all {
		size += len(p)
	}
	if err := b.ring.RegisterMemory(all); err != nil {
		return memoryError(size, err)
	}
	for _, p := range all {
		b.memory = append(b.memory, regionOf(p))
	}
	return nil
}

// memoryError says what to do about memory that cannot be registered.
func memoryError(size int, err error) error {
	var limit unix.Rlimit
	if errors.Is(err, unix.ENOMEM) && unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil && uint64(size) > limit.Cur {
		return fmt.Errorf("%w has %d bytes, more than RLIMIT_MEMLOCK, which is %d: raise that (ulimit -l): %w",
			errMemory, size, limit.Cur, err)
	}
	return fmt.Errorf("%w of %d bytes: %w", errMemory, size, err)
}

// registered returns the index of the region in which p lies as a whole.
func (b *Backend) registered(p []byte) (index int, ok bool) {
	if len(b.memory) == 0 {
		return 0, false
	}
	r := regionOf(p)
	i, exact := slices.BinarySearchFunc(b.memory, r.from, func(m region, at uint64) int { return cmp.Compare(m.from, at) })
	if !exact {
		i--
	}
	return i, i >= 0 && r.to <= b.memory[i].to
}
