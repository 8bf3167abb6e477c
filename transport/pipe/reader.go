package pipe

import (
	"errors"
	"io"
	"runtime/debug"
	"syscall"

	"mobius/loop"
	"mobius/proactor"
)

// A Receiver gets what a [Reader] reads.
type Receiver interface {
	// Received delivers bytes in order, at least one, lent until it returns. A
	// panic is reported and is the reader's end, with a *loop.PanicError.
	Received(r *Reader, p []byte)

	// Ended is the end, once, never inside one of the reader's methods: io.EOF,
	// net.ErrClosed after Close, or what reading failed with. The handle is
	// closed, unless the reader shares it.
	Ended(r *Reader, err error)
}

// A Reader reads one handle until it ends.
type Reader struct {
	l      *loop.Loop
	owner  Receiver
	op     proactor.Op
	flush  loop.Flush
	kept   []byte // received during a pause
	paused bool
	shared bool
	err    error // how the reading ended
	state  readerState
}

// A readerState is where a Reader is in its life.
//
//	reading ──end of the input, all of it delivered──▶ over
//	   │                                                ▲
//	   └──Close, panic──▶ ending ──operation ended──────┘
type readerState uint8

const (
	reading readerState = iota
	ending
	over
)

// NewReader begins to read h, which is the reader's to close, unless shared
// says that somebody else will once it has Ended.
func NewReader(l *loop.Loop, h proactor.Handle, shared bool, owner Receiver) *Reader {
	r := &Reader{l: l, owner: owner, shared: shared}
	e := (*readerEvents)(r)
	r.op = proactor.Op{Kind: proactor.OpRecv, Handle: h, Owner: e}
	r.flush.Owner = e
	l.Submit(&r.op)
	return r
}

// Handle returns the handle, which names nothing once the reader has ended.
func (r *Reader) Handle() proactor.Handle { return r.op.Handle }

// Over reports whether the reader has ended.
func (r *Reader) Over() bool { return r.state == over }

// Pause stops Received until Resume. What is under way is kept, and delivered
// then, the end of the input after it.
func (r *Reader) Pause() { r.paused = true }

// Resume lets Received go on.
func (r *Reader) Resume() {
	if r.paused && r.state == reading {
		r.paused = false
		r.l.AtTurnEnd(&r.flush)
	}
}

// Close ends the reading with the reason err; what was not delivered is
// dropped.
func (r *Reader) Close(err error) {
	if r.state != reading {
		return
	}
	r.state, r.err, r.kept = ending, err, nil
	r.l.Cancel(&r.op)
	r.l.AtTurnEnd(&r.flush)
}

func (r *Reader) deliver(p []byte) {
	defer func() {
		if v := recover(); v != nil {
			r.l.Report(loop.Trouble{Kind: loop.Panicked, Value: v, Stack: debug.Stack()})
			r.Close(&loop.PanicError{Value: v})
		}
	}()
	r.owner.Received(r, p)
}

// settle finishes a reader on which nothing is active, and to which nothing is
// left to deliver.
func (r *Reader) settle() {
	switch {
	case r.op.Active() || r.state == over:
		return
	case r.state == reading && (r.err == nil || r.paused || len(r.kept) > 0):
		return
	}
	r.state = over
	if !r.shared {
		_ = r.l.Sockets().CloseFD(r.op.Handle)
	}
	r.owner.Ended(r, r.err)
}

// readerEvents is a Reader as its loop sees it.
type readerEvents Reader

// Complete takes a result.
func (e *readerEvents) Complete(op *proactor.Op) {
	r := (*Reader)(e)
	if op.N > 0 && r.state == reading {
		if r.paused || len(r.kept) > 0 {
			r.kept = append(r.kept, op.Buf...)
		} else {
			r.deliver(op.Buf[:op.N:op.N])
		}
		if r.paused && op.More {
			r.l.Cancel(op)
		}
	}
	if !op.More && r.state == reading && op.Err != proactor.ErrCanceled {
		r.err = op.Err
		if errors.Is(op.Err, syscall.EIO) && r.shared {
			r.err = io.EOF // a terminal whose other end is closed (pty(7))
		}
	}
	r.settle()
}

// Flush delivers what a pause has kept, and goes on reading.
func (e *readerEvents) Flush() {
	r := (*Reader)(e)
	if r.state == reading && !r.paused {
		if p := r.kept; len(p) > 0 {
			r.kept = nil
			r.deliver(p)
		}
		if r.state == reading && r.err == nil && !r.paused {
			r.l.Resume(&r.op)
		}
	}
	r.settle()
}
