//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Room that a trial gives to names, to control data and to payloads.
const (
	trialName    = 16
	trialControl = 32
	trialPayload = 100
)

// receiveMessages plays the life of a datagram socket on two small buffers: it
// waits although the socket does not, and gets messages whole, also an empty one, one that is
// too long, and more than there are buffers for; then it is cancelled.
func (t *trial) receiveMessages() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	t.a, t.b = fds[0], fds[1]
	defer func() { _ = unix.Close(t.a); _ = unix.Close(t.b) }()
	p, err := newPool(t.r, 2, 2, recvmsgOutSize+trialName+trialControl+trialPayload, false)
	if err != nil {
		return err
	}
	defer p.close()
	p.publish()
	x := messages{trial: t, p: p}
	x.arm()
	if _, err := t.r.Wait(0, 0); err != nil {
		return err
	}
	if c, ok := t.r.NextCQE(); ok {
		return fmt.Errorf("%w: %d from an empty socket that is O_NONBLOCK", errResult, c.Res)
	}
	for _, n := range []int{10, 0, trialPayload, trialPayload + 50, 1, 2} {
		if err := x.exchange(n); err != nil {
			return err
		}
	}
	if !x.more || !x.starved {
		return fmt.Errorf("%w: more %v, starved %v", errResult, x.more, x.starved)
	}
	return x.end()
}

// messages is one socket of a trial.
type messages struct {
	*trial
	p             *pool
	message       Message
	armed         bool
	more, starved bool // F_MORE was seen, ENOBUFS was seen
}

func (x *messages) arm() {
	x.message = Message{NameLen: trialName, ControlLen: trialControl}
	e := x.entry()
	e.PrepRecvMessageMultishot(x.a, &x.message, x.p.ring.Group(), unix.MSG_CMSG_CLOEXEC, x.user)
	x.armed = true
}

// exchange sends a message of n bytes and receives it. Buffers go back only
// once none is left, so that it starves.
func (x *messages) exchange(n int) error {
	want := pattern(n)
	if err := unix.Sendto(x.b, want, 0, nil); err != nil {
		return err
	}
	for {
		if !x.armed {
			x.arm()
		}
		c, err := x.next()
		if err != nil {
			return err
		}
		x.armed = c.More()
		x.more = x.more || c.More()
		switch {
		case c.Res > 0:
			return x.check(c, want)
		case c.Res != -int32(unix.ENOBUFS):
			return syscall.Errno(-c.Res)
		}
		x.starved = true
		x.refill()
	}
}

// refill gives the buffers back that were used.
func (x *messages) refill() {
	for i, f := range x.p.buffers {
		if f.spent {
			x.p.post(uint16(i))
		}
	}
	x.p.publish()
}

// end cancels the receive. It may have starved after the last message, before
// the buffers came back: then the one that is armed now is cancelled.
func (x *messages) end() error {
	x.refill()
	for range 2 {
		if !x.armed {
			x.arm()
		}
		x.r.NextSQE().PrepCancel(x.user, 0)
		c, err := x.next()
		switch {
		case err != nil:
			return err
		case c.Res == -int32(unix.ECANCELED) && !c.More():
			return nil
		case c.Res != -int32(unix.ENOBUFS):
			return fmt.Errorf("%w: %d, flags %#x after a cancel", errResult, c.Res, c.Flags)
		}
		x.armed = false
	}
	return errNoBuffer
}

func (x *messages) check(c CQE, want []byte) error {
	data := x.p.take(c.Buffer(), int(c.Res), c.Flags)
	r, ok := ParseReceived(data, trialName, trialControl)
	cut := len(want) > trialPayload
	if !ok || c.Flags&IORING_CQE_F_BUFFER == 0 || r.Flags&unix.MSG_TRUNC != 0 != cut ||
		!bytes.Equal(r.Payload, want[:min(len(want), trialPayload)]) {
		return fmt.Errorf("%w: %d for a message of %d bytes, flags %#x, %#x", errResult, c.Res, len(want), c.Flags, r.Flags)
	}
	return nil
}
