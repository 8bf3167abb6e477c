//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

// An fdTable has nothing to do here: the kernels copy their tables of
// descriptors without waiting for readers.
type fdTable struct{}

func (*fdTable) begin()   {}
func (*fdTable) used(int) {}
