package sim

import (
	"bytes"
	"runtime"
	"strconv"
)

// An owner is the goroutine of a backend's first Poll. Where a thread owns a
// backend, that goroutine is locked to it; goroutines of tests are often not, so
// here it is the goroutine.
type owner struct {
	goroutine uint64 // 0: not known yet
	thread    int    // on which it was seen last; 0: not known
}

// take reports whether the calling goroutine is the owner, or has become it.
func (o *owner) take() bool {
	t := thread()
	if t != 0 && o.thread == t {
		return true // a locked goroutine; one that is not may pass for another one here
	}
	g := goroutine()
	if o.goroutine == 0 {
		o.goroutine = g
	}
	if o.goroutine != g {
		return false
	}
	o.thread = t
	return true
}

// goroutine returns the number of the calling goroutine, from the first line
// of its stack trace ("goroutine 7 [running]:"): there is no other way.
func goroutine() uint64 {
	var buf [40]byte
	text := buf[:runtime.Stack(buf[:], false)]
	text = bytes.TrimPrefix(text, []byte("goroutine "))
	if end := bytes.IndexByte(text, ' '); end > 0 {
		if id, err := strconv.ParseUint(string(text[:end]), 10, 64); err == nil {
			return id
		}
	}
	panic("sim: the stack trace does not begin with the goroutine's number")
}
