//go:build linux && (amd64 || arm64)

package uring

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

// A letter is what a SendTo, or a Send with a Msg, needs beside its bytes
// until it has ended. Letters are used again.
type letter struct {
	message sys.Message
	files   []int         // duplicates of Msg.Files
	peer    int           // a socket to wait with for the receiver, -1 if there is none
	own     bool          // it is the turn of the own socket to be waited for
	apart   bool          // a train that goes datagram by datagram; the slot's skip of its bytes have been tried
	failed  syscall.Errno // of these the first error
	next    *letter
}

// writeLetter gives s a letter with p and what op says beside it.
func (b *Backend) writeLetter(op *proactor.Op, e *sys.Entry, s *slot, p []byte) (err error) {
	l := b.letters
	if l == nil {
		l = &letter{}
	}
	b.letters, l.next, l.peer, l.own, l.apart = l.next, nil, -1, false, false
	s.letter = l
	if op.Msg != nil && len(op.Msg.Files) > 0 {
		if l.files, err = sys.DupFiles(l.files[:0], op.Msg.Files); err != nil {
			return err
		}
	}
	to := op.Addr
	if op.Kind == proactor.OpSend {
		to = nil
	}
	return l.message.Out(e, p, to, op.Msg, l.files)
}

// dropLetter takes back the letter of s, if it has one.
func (b *Backend) dropLetter(s *slot) {
	l := s.letter
	if l == nil {
		return
	}
	s.letter = nil
	l.sent()
	l.forget()
	l.message.Clear()
	l.next, b.letters = b.letters, l
}

// sent closes the files that have gone, or never will.
func (l *letter) sent() {
	sys.CloseFiles(l.files)
	l.files = l.files[:0]
}

// forget ends the wait for the receiver.
func (l *letter) forget() {
	if l.peer >= 0 {
		_ = unix.Close(l.peer)
		l.peer = -1
	}
}

// submitSendTo prepares a SendTo, and reports whether it can be sent.
func (b *Backend) submitSendTo(op *proactor.Op, e *sys.Entry, s *slot) bool {
	if op.Addr == nil && op.Msg == nil {
		return true
	}
	err := b.writeLetter(op, e, s, op.Buf)
	if err != nil {
		b.finish(op, 0, err)
	}
	return err == nil
}

// submitSend prepares a Send, and reports whether there is something to do.
func (b *Backend) submitSend(op *proactor.Op, e *sys.Entry, s *slot) bool {
	s.vector = -1
	b.advance(op, s, 0)
	var err error
	if m := op.Msg; m != nil && (m.Info.Has != 0 || len(m.Control)+len(m.Files) > 0) {
		switch {
		case e.Kind != sys.Stream:
			err = unix.EOPNOTSUPP
		case op.Remaining() == 0:
			err = unix.EINVAL // they travel with a byte (unix(7))
		default:
			err = b.writeLetter(op, e, s, part(op, s.vector))
		}
	}
	if err != nil || op.Remaining() == 0 {
		b.finish(op, 0, err)
		return false
	}
	return true
}

// prepareLetter sends the first bytes of a stream's Send, and what travels
// with them.
func (b *Backend) prepareLetter(s *slot, e *SQE, fd int) {
	e.PrepSendMessage(fd, (*Message)(unsafe.Pointer(&s.letter.message.Header)), sendFlags, s.user)
}

// preparePost sends a datagram, without waiting, or waits for room.
//
// Like the sends of streams it carries MSG_DONTWAIT. Of a unix socket the kernel's own
// poll would not tell when the receiver has room, and the send would end up blocking a
// worker thread.
func (b *Backend) preparePost(op *proactor.Op, s *slot, e *SQE) {
	fd, l := int(op.Handle.Index()), s.letter
	switch {
	case s.wait && l != nil && l.peer >= 0:
		s.poll = true
		e.PrepPoll(l.peer, unix.POLLOUT, s.user)
	case s.wait:
		b.prepareRoom(s, e, op.Handle)
	case l != nil && l.apart:
		b.preparePart(op, s, e)
	case l != nil:
		b.prompt = true
		b.prepareLetter(s, e, fd)
	default:
		b.prompt = true
		e.PrepSend(fd, op.Buf, sendFlags, s.user)
	}
}

// posted handles a result of that.
func (b *Backend) posted(s *slot, res int32, more bool) {
	op := s.op
	switch {
	case s.poll && s.letter != nil && s.letter.peer >= 0:
		s.letter.forget()
		s.wait = false
		if res < 0 {
			b.failed(op, syscall.Errno(-res))
		} else {
			b.goOn(op)
		}
	case s.poll:
		b.roomOrError(s, res, more)
	case res == -int32(unix.EAGAIN):
		b.awaitMailbox(op, s)
	case s.letter != nil && s.letter.apart:
		b.partSent(op, s, res)
	case res < 0 && b.partTrain(op, s, syscall.Errno(-res)):
		b.goOn(op)
	case res < 0:
		b.failed(op, syscall.Errno(-res))
	default:
		b.complete(op, int(res), nil)
	}
}

// awaitMailbox has op wait until it can be sent: until the own socket has room,
// or, if a unix receiver may be the reason, in turns until that one has. Its
// queue is told only to a socket that is connected to it (unix_dgram_poll).
func (b *Backend) awaitMailbox(op *proactor.Op, s *slot) {
	if b.Lookup(op.Handle).Network == proactor.UDP {
		s.took(0) // in the queue of a unix receiver others may just have been faster
	}
	s.wait = true
	l := s.letter
	if op.Addr != nil && op.Addr.Kind() == proactor.Unixgram && !l.own && op.B.State == proactor.Active {
		fd, err := sys.WatchReceiver(*op.Addr)
		if err != nil {
			b.complete(op, 0, err)
			return
		}
		l.peer = fd
	}
	if l != nil {
		l.own = !l.own
	}
	b.goOn(op)
}
