//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"errors"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// IsTrain reports whether op, a SendTo, is to be cut into datagrams.
func IsTrain(op *proactor.Op) bool { return op.Msg != nil && op.Msg.SegmentSize > 0 }

// RefusesTrain reports whether err, the answer to the send of a train, may mean
// that its datagrams are not taken together: EINVAL from a kernel without
// UDP_SEGMENT (before Linux 4.18), for too many, for a socket without checksums, and
// before Linux 6.13 for those that are longer than the path's MTU, for which it is
// EMSGSIZE since, as it is for more bytes than one datagram has; EIO from
// IPsec and from devices that compute no checksums.
func RefusesTrain(err error) bool {
	switch err {
	case unix.EINVAL, unix.EMSGSIZE, unix.EIO:
		return true
	}
	return errors.Is(err, proactor.ErrUnsupported)
}

// OutPart is Out for the datagram of op, a train, that begins at byte at, and returns
// how many bytes it has.
func (m *Message) OutPart(e *Entry, op *proactor.Op, at int) (n int, err error) {
	n = min(op.Msg.SegmentSize, len(op.Buf)-at)
	beside := proactor.Msg{Control: op.Msg.Control, Info: op.Msg.Info}
	return n, m.Out(e, op.Buf[at:at+n], op.Addr, &beside, nil)
}
