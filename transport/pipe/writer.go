package pipe

import (
	"net"
	"os"
	"syscall"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// A Sender owns a [Writer].
type Sender interface {
	// Full is called, inside the Write that does it, when more than
	// Limits.High bytes are queued; Drained when no more than Limits.Low are.
	// Calls alternate, Full first.
	Full(w *Writer)
	Drained(w *Writer)

	// Closed is the end, once, never inside one of the writer's methods:
	// net.ErrClosed after Close, EPIPE if nobody reads any more, or what else
	// writing failed with. The handle is closed, unless the writer shares it.
	Closed(w *Writer, err error)
}

// Limits bound a Writer; see the fields of the same names of
// transport.Options.
type Limits struct {
	High, Low, Hard int

	// CloseTimeout bounds the flushing after Close without progress. 0: whoever
	// reads may take his time.
	CloseTimeout time.Duration
}

// A Writer writes one handle, with a queue before it.
type Writer struct {
	l      *loop.Loop
	owner  Sender
	limits Limits
	send   proactor.Op
	watch  proactor.Op // an OpPoll that tells when nobody reads any more
	flush  loop.Flush
	timer  loop.Timer
	next   []byte // written, not yet given to the kernel
	spare  []byte // memory for it, that of the send under way
	left   int    // of the send under way, when the timer last looked
	full   bool
	shared bool
	err    error
	state  writerState
}

// A writerState is where a Writer is in its life.
//
//	writing ──Close──▶ flushing ──queue empty──▶ stopping ──operations ended──▶ done
//	   └──────────────────┴────error, Abort──────────▲
type writerState uint8

const (
	writing  writerState = iota
	flushing             // no more writes; the queue empties
	stopping             // operations are being cancelled
	done
)

// NewWriter returns a writer of h, which is the writer's to close, unless
// shared says that somebody else will once it is Closed.
func NewWriter(l *loop.Loop, h proactor.Handle, shared bool, limits Limits, owner Sender) *Writer {
	w := &Writer{l: l, owner: owner, limits: limits, shared: shared}
	e := (*writerEvents)(w)
	w.send = proactor.Op{Kind: proactor.OpSend, Handle: h, Owner: e}
	w.watch = proactor.Op{Kind: proactor.OpPoll, Handle: h, Owner: e}
	w.flush.Owner, w.timer.Owner = e, e
	if !shared {
		l.Submit(&w.watch)
	}
	return w
}

// Handle returns the handle, which names nothing once the writer is closed.
func (w *Writer) Handle() proactor.Handle { return w.send.Handle }

// Over reports whether the writer has ended.
func (w *Writer) Over() bool { return w.state == done }

// Queued returns how many bytes wait to be taken by the kernel, those of the
// send under way included.
func (w *Writer) Queued() int { return len(w.next) + len(w.send.Buf) }

// Room returns how many bytes a Write takes now.
func (w *Writer) Room() int {
	if w.state != writing {
		return 0
	}
	return max(0, w.limits.Hard-w.Queued())
}

// Write queues a copy of p: all of it or nothing, with transport.ErrFull and
// transport.ErrNotWritable for errors.
func (w *Writer) Write(p []byte) (int, error) {
	switch {
	case w.state != writing:
		return 0, transport.ErrNotWritable
	case len(p) > w.Room():
		return 0, transport.ErrFull
	case len(p) == 0:
		return 0, nil
	}
	w.next = append(w.next, p...)
	w.l.AtTurnEnd(&w.flush)
	if !w.full && w.Queued() > w.limits.High {
		w.full = true
		w.owner.Full(w)
	}
	return len(p), nil
}

// Close closes once what was written is sent.
func (w *Writer) Close() {
	if w.state == writing {
		w.state = flushing
		if d := w.limits.CloseTimeout; d > 0 {
			w.left = w.send.Remaining()
			w.l.Start(&w.timer, d)
		}
		w.l.AtTurnEnd(&w.flush)
	}
}

// Abort closes at once with the reason err. What was not sent is dropped.
func (w *Writer) Abort(err error) {
	if w.state < stopping {
		w.stop(err)
	}
}

func (w *Writer) stop(err error) {
	w.state, w.err, w.next = stopping, err, nil
	w.timer.Stop()
	w.l.Cancel(&w.send)
	w.l.Cancel(&w.watch)
	w.l.AtTurnEnd(&w.flush)
}

// settle finishes a writer on which nothing is active.
func (w *Writer) settle() {
	if w.state != stopping || w.send.Active() || w.watch.Active() {
		return
	}
	w.state = done
	if !w.shared {
		_ = w.l.Sockets().Shutdown(w.send.Handle) // a socket may have other names; others say ENOTSOCK
		_ = w.l.Sockets().CloseFD(w.send.Handle)
	}
	w.owner.Closed(w, w.err)
}

// keepUpTo is how much memory an empty writer keeps for its next bytes.
const keepUpTo = 64 << 10

// sent takes the result of a send.
func (w *Writer) sent(op *proactor.Op) {
	w.spare, op.Buf = op.Buf[:0], nil
	if cap(w.spare) > keepUpTo {
		w.spare = nil
	}
	if op.Err != nil && w.state < stopping {
		w.stop(op.Err)
	}
	if w.state >= stopping {
		return
	}
	if w.full && w.Queued() <= w.limits.Low {
		w.full = false
		w.owner.Drained(w)
	}
	w.l.AtTurnEnd(&w.flush)
}

// writerEvents is a Writer as its loop sees it.
type writerEvents Writer

// Complete takes the results of both operations.
func (e *writerEvents) Complete(op *proactor.Op) {
	w := (*Writer)(e)
	switch {
	case op == &w.send:
		w.sent(op)
	case w.state < stopping && op.Err == nil && op.Events&proactor.Failed != 0:
		w.stop(syscall.EPIPE)
	}
	w.settle()
}

// Flush sends what is queued.
func (e *writerEvents) Flush() {
	w := (*Writer)(e)
	switch {
	case w.state == stopping:
		w.settle()
	case w.state == done || w.send.Active():
	case len(w.next) > 0:
		w.send.Buf, w.next = w.next, w.spare
		w.spare = nil
		w.left = len(w.send.Buf)
		w.l.Submit(&w.send)
	case w.state == flushing:
		w.stop(net.ErrClosed)
	}
}

// Expire ends a flushing that does not get on.
func (e *writerEvents) Expire(*loop.Timer) {
	w := (*Writer)(e)
	if left := w.send.Remaining(); left != w.left {
		w.left = left
		w.l.Start(&w.timer, w.limits.CloseTimeout)
		return
	}
	w.stop(os.ErrDeadlineExceeded)
}
