package descriptor

import (
	"io"
	"runtime/debug"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// A watch is one descriptor of a set.
type watch struct {
	set    *Set
	d      FileDescriptor
	fd     int             // what d.FD answered at first
	events proactor.Events // what d wants to be told
	number uint64          // the order in which it was added
	op     proactor.Op     // an OpPoll on a duplicate of fd
	state  state
}

// A state is where a watch is in its life.
//
//	           other events wanted
//	waiting ───────────────────────▶ changing
//	  ▲  │  ▲                            │
//	  │  │  └──────canceled──────────────┘
//	  │  │ ready
//	  │  ▼
//	calling ───removed, lost───▶ gone
//
//	waiting, changing ──removed, lost──▶ leaving ──operation ended──▶ gone
type state uint8

const (
	waiting  state = iota // the operation is active
	changing              // it is being cancelled, to be submitted anew
	calling               // it has ended: the owner's methods are called
	leaving               // the owner is told nothing any more; the operation ends
	gone                  // the duplicate is closed
)

// open makes the duplicate.
func (w *watch) open() error {
	sockets := w.set.l.Sockets()
	fd, err := sockets.Duplicate(w.fd)
	if err != nil {
		return err
	}
	h, err := sockets.Adopt(fd)
	if err != nil {
		_ = sockets.Discard(fd)
		return err
	}
	w.op = proactor.Op{Kind: proactor.OpPoll, Handle: h, Owner: w}
	return nil
}

func (w *watch) arm() {
	w.state = waiting
	w.op.Events = w.events
	w.set.l.Submit(&w.op)
}

// want changes what the owner is told.
func (w *watch) want(events proactor.Events) {
	if w.events == events {
		return
	}
	w.events = events
	if events == 0 {
		w.leave()
		return
	}
	if w.state == waiting {
		w.state = changing
		w.set.l.Cancel(&w.op)
	}
}

// leave takes the watch out of the set, at once as far as the owner can see.
func (w *watch) leave() {
	s := w.set
	delete(s.watches, w.d)
	w.events = 0
	switch w.state {
	case waiting, changing:
		w.state = leaving
		s.leaving++
		s.l.Cancel(&w.op)
	case calling:
		w.close()
	}
}

func (w *watch) close() {
	w.state = gone
	_ = w.set.l.Sockets().CloseFD(w.op.Handle)
	w.set.settle()
}

// lose takes the watch out and tells the owner why.
func (w *watch) lose(err error) {
	w.leave()
	defer func() {
		if v := recover(); v != nil {
			w.report(v)
		}
	}()
	w.d.ConnectionLost(err)
}

func (w *watch) report(v any) {
	w.set.l.Report(loop.Trouble{Kind: loop.Panicked, Value: v, Stack: debug.Stack()})
}

// Complete takes the result of a poll, and waits for the next one: the
// descriptor may still be ready.
func (w *watch) Complete(op *proactor.Op) {
	if w.state == leaving {
		w.set.leaving--
		w.close()
		return
	}
	if op.Err == nil {
		w.ready(op.Events)
	} else if op.Err != proactor.ErrCanceled {
		w.state = calling
		w.lose(op.Err)
	}
	if w.state != gone {
		w.arm()
	}
}

// ready calls the owner. An error or a hang-up is met by whatever the owner
// does next, which is why a failed descriptor is ready for all.
func (w *watch) ready(got proactor.Events) {
	w.state = calling
	if got&proactor.Failed != 0 {
		got |= w.events
	}
	defer func() {
		if v := recover(); v != nil {
			w.report(v)
			if w.state != gone {
				w.lose(&loop.PanicError{Value: v})
			}
		}
	}()
	w.step(proactor.Readable, got)
	w.step(proactor.Writable, got)
	if w.state != gone && w.d.FD() != w.fd {
		w.lose(ErrGone) // the duplicate must not outlive what it was made of
	}
}

// step makes one of the calls, if it is due and still wanted.
func (w *watch) step(e, got proactor.Events) {
	if w.events&got&e == 0 {
		return
	}
	if w.d.FD() != w.fd {
		w.lose(ErrGone)
		return
	}
	do := w.d.DoRead
	if e == proactor.Writable {
		do = w.d.DoWrite
	}
	err := do()
	if err == nil || w.state == gone {
		return
	}
	if h, ok := transport.As[transport.HalfCloser](w.d); ok && err == io.EOF && e == proactor.Readable {
		w.want(w.events &^ e)
		h.ReadConnectionLost()
		return
	}
	w.lose(err)
}
