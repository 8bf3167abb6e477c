package backendtest

import (
	"io"
	"syscall"

	"mobius/proactor"
)

// A probe is an op with an owner that watches what every completion must
// obey: sentence 2 (on the loop's goroutine, inside Poll, one at a time, not
// inside Submit, Cancel or Resume), 2a (one last completion) and 4 (no EAGAIN
// and the like).
type probe struct {
	proactor.Op
	d       *driver
	on      func() // called at each completion
	live    bool   // submitted, and not completed for the last time
	results int    // completions since the start
	lasts   int    // last ones among them
	err     error  // Err of the last completion
	n       int    // N of the last completion
	total   int    // sum of N
	wrong   bool   // of a descriptor that was opened for the other direction: EBADF is the truth
}

// probe returns an idle op. The driver cancels it at the end of the test.
func (d *driver) probe(kind proactor.Kind, h proactor.Handle) *probe {
	p := &probe{d: d}
	p.Kind, p.Handle, p.Owner = kind, h, p
	d.probes = append(d.probes, p)
	return p
}

func (p *probe) submit() {
	p.live = true
	p.d.call(func() { p.d.b.Submit(&p.Op) })
}

func (p *probe) cancel() { p.d.call(func() { p.d.b.Cancel(&p.Op) }) }

func (p *probe) resume() {
	p.live = true
	p.d.call(func() { p.d.b.Resume(&p.Op) })
}

// isIdle reports whether p has completed for the last time. (It is a method,
// not a closure, so that waiting for it allocates nothing twice.)
func (p *probe) isIdle() bool { return !p.live }

// Complete implements [proactor.Completer].
func (p *probe) Complete(op *proactor.Op) {
	d := p.d
	d.arrive(p, op)
	p.results++
	if op.Kind != proactor.OpChild {
		p.total += op.N
	}
	if op.Kind == proactor.OpAccept && op.New != 0 {
		d.own(op.New)
	}
	if !op.More {
		p.live = false
		p.lasts++
		p.err, p.n = op.Err, op.N
	}
	defer d.depart()
	if p.on != nil {
		p.on()
	}
}

// arrive checks what holds for every completion. It may only report, since it
// runs inside the backend.
func (d *driver) arrive(p *probe, op *proactor.Op) {
	switch {
	case op != &p.Op:
		d.report("sentence 1: the completion is of another Op than the one submitted")
	case d.closed:
		d.report("completion of %v after Close", op.Kind)
	case d.calling:
		d.report("sentence 2: Complete of %v inside Submit, Cancel or Resume", op.Kind)
	case d.completing:
		d.report("sentence 2: Complete of %v inside another Complete", op.Kind)
	case !d.polling || d.elsewhere():
		d.report("sentence 2: Complete of %v not on the loop's goroutine", op.Kind)
	case !p.live:
		d.report("sentence 2a: a completion of %v after its last (N %d, Err %v)", op.Kind, op.N, op.Err)
	case op.More == !op.Active():
		d.report("sentence 2a: More is %v, but the op's state is %d", op.More, op.B.State)
	case op.More && !op.Kind.Streams():
		d.report("sentence 2a: %v completes with More", op.Kind)
	case op.More && op.Err != nil:
		d.report("sentence 2b: %v goes on after the error %v", op.Kind, op.Err)
	case hidden(op.Err) && !(p.wrong && op.Err == syscall.EBADF):
		d.report("sentence 4: %v completes with %v", op.Kind, op.Err)
	case op.Kind == proactor.OpRecv && (op.N != len(op.Buf) || op.N == 0 && op.More):
		d.report("sentence 2b: recv lends %d bytes, says %d, More %v", len(op.Buf), op.N, op.More)
	case op.Err == io.EOF && op.Kind != proactor.OpRecv && op.Kind != proactor.OpRelay:
		d.report("%v completes with io.EOF", op.Kind)
	}
	d.completing = true
	d.completions++
}

func (d *driver) depart() {
	d.completing = false
	d.completed = d.b.Now()
}

// hidden reports whether err is one that a backend keeps to itself.
func hidden(err error) bool {
	switch err {
	case syscall.EAGAIN, syscall.EINTR, syscall.ENOBUFS, syscall.ECANCELED,
		syscall.EINPROGRESS, syscall.EALREADY, syscall.EBUSY, syscall.ENOTSOCK, syscall.EBADF:
		return true
	}
	return false
}
