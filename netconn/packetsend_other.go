//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package netconn

import (
	"errors"

	"mobius/proactor"
)

// What flags of a read datagram say.
const (
	truncated        = 1
	controlTruncated = 2
)

// sendBeside is for systems with unix sockets.
func sendBeside(int, []byte, []byte) (int, error) { return 0, errors.ErrUnsupported }

// rights is for systems with unix sockets.
func rights([]byte, []int) (int, int) { return 0, 0 }

// A sender6 leaves all sending to the loop.
type sender6 struct{}

func (*sender6) init(int) {}

func (*sender6) send(int, []byte, []byte, proactor.Address) error { return errors.ErrUnsupported }
