package sys

import "sync/atomic"

// chunkSize is how many cells are made at a time: at 64 bytes each, 32 KiB.
const chunkSize = 512

// Chunks is an array that grows without moving its cells, so that pointers to
// them stay good as long as it lives. The zero value is empty. At may be
// called from any goroutine, Grow from one at a time.
type Chunks[T any] struct {
	spine atomic.Pointer[[]*[chunkSize]T]
}

// At returns cell i, nil if Grow has not reached it.
func (c *Chunks[T]) At(i uint32) *T {
	spine := c.spine.Load()
	if spine == nil || i/chunkSize >= uint32(len(*spine)) {
		return nil
	}
	chunk := (*spine)[i/chunkSize]
	if chunk == nil {
		return nil
	}
	return &chunk[i%chunkSize]
}

// Grow returns cell i, making its chunk if there is none yet. Readers see
// either the old spine or the new one; a spine is never written once it can be
// seen, since chunks of several numbers are made one at a time.
func (c *Chunks[T]) Grow(i uint32) *T {
	if cell := c.At(i); cell != nil {
		return cell
	}
	var old []*[chunkSize]T
	if p := c.spine.Load(); p != nil {
		old = *p
	}
	grown := make([]*[chunkSize]T, max(len(old), int(i/chunkSize)+1))
	copy(grown, old)
	grown[i/chunkSize] = new([chunkSize]T)
	c.spine.Store(&grown)
	return &grown[i/chunkSize][i%chunkSize]
}

// All calls f for every cell made so far, in order.
func (c *Chunks[T]) All(f func(*T)) {
	spine := c.spine.Load()
	if spine == nil {
		return
	}
	for _, chunk := range *spine {
		if chunk == nil {
			continue
		}
		for i := range chunk {
			f(&chunk[i])
		}
	}
}
