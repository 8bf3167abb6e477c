package compat

import (
	"errors"
	"net"

	"mobius/loop"
	"mobius/transport"
)

// A task is something that was asked for on whatever goroutine, on its way to
// the loop. Tasks are used again.
type task struct {
	c        *conn
	kind     taskKind
	buf      []byte
	bufs     [][]byte
	callback AsyncCallback
	own      []byte // a copy of what was to be written
	run      func() // t.do
	taken    func() // t.sent
	next     *task  // of those that were sent, or wait for that
	gone     bool   // the transport has given its bytes back
}

type taskKind uint8

const (
	taskWrite taskKind = iota // buf, bufs, with a callback
	taskCopy                  // own
	taskWake
	taskClose
)

// keepOwn is how many bytes of memory a task may keep until it is used again.
const keepOwn = 64 << 10

func newTask() any {
	t := &task{}
	t.run, t.taken = t.do, t.sent
	return t
}

func (c *conn) task(kind taskKind, callback AsyncCallback) *task {
	t := c.e.tasks.Get().(*task)
	t.c, t.kind, t.callback = c, kind, callback
	return t
}

// free gives t back.
func (t *task) free() {
	e := t.c.e
	if cap(t.own) > keepOwn {
		t.own = nil
	}
	t.c, t.callback, t.buf, t.bufs, t.next, t.gone, t.own = nil, nil, nil, nil, nil, false, t.own[:0]
	e.tasks.Put(t)
}

// post has t done on the loop.
func (t *task) post(must bool) error {
	l := t.c.el.l
	var err error
	if must {
		err = l.Insist(t.run)
	} else {
		err = l.Call(t.run)
	}
	if err != nil {
		t.free()
	}
	return err
}

// do does it.
func (t *task) do() {
	c := t.c
	switch {
	case c.state == closed:
		t.answer(net.ErrClosed)
	case t.kind == taskWrite:
		t.write()
	case t.kind == taskCopy:
		if _, err := c.Write(t.own); err != nil {
			c.fail(err) // bytes that were accepted are missing in the stream
		}
		t.free()
	case t.kind == taskWake:
		if c.state == open {
			c.wake()
		}
		t.answer(nil)
	case t.kind == taskClose:
		if t.callback != nil {
			c.seldom().ends = append(c.seldom().ends, t.callback)
		}
		c.lose()
		t.free()
	}
}

// wake is OnTraffic without anything new. A panic in it is the connection's
// end, as in any other.
func (c *conn) wake() {
	defer func() {
		if v := recover(); v != nil {
			c.panicked(v)
		}
	}()
	c.traffic(nil)
}

// write gives the bytes to the transport, without a copy.
func (t *task) write() {
	c, n, last := t.c, len(t.buf), -1
	for i, b := range t.bufs {
		n += len(b)
		if len(b) > 0 {
			last = i
		}
	}
	if q, ok := transport.As[transport.Queuer](c.t); ok && n > q.Room() {
		_, err := c.t.Write(nil)
		if err == nil {
			err = transport.ErrFull
		}
		t.answer(err)
		return
	}
	if n == 0 {
		t.answer(nil)
		return
	}
	c.seldom().await(t)
	if t.bufs == nil {
		_ = c.t.WriteOwned(t.buf, t.taken) // there is room
		return
	}
	for i, b := range t.bufs[:last+1] {
		var taken func()
		if i == last {
			taken = t.taken
		}
		_ = c.t.WriteOwned(b, taken)
	}
}

// sent is called when the transport gives the bytes back: they are sent, or
// are lost with the connection. Which of both is known at the end of the turn.
func (t *task) sent() {
	t.gone = true
	t.c.el.l.AtTurnEnd(&t.c.rare.flush)
}

// answer calls the callback.
func (t *task) answer(err error) {
	c, callback := t.c, t.callback
	t.free()
	c.call(callback, err)
}

// call calls an AsyncCallback. What it panics with is the connection's end.
func (c *conn) call(callback AsyncCallback, err error) {
	if callback == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			c.panicked(v)
		}
	}()
	switch err := callback(c, err); {
	case errors.Is(err, ErrEngineShutdown):
		c.e.shutdown()
	case err != nil:
		c.el.l.Log().Warn("compat: a callback has returned an error", "error", err, "loop", c.el.l.Name())
	}
}

// rare is what few connections have.
type rare struct {
	c          *conn
	flush      loop.Flush
	head, tail *task // writes with callbacks, in their order
	ends       []AsyncCallback
	deadlines  [2]loop.Timer // for reading and writing
}

func (c *conn) seldom() *rare {
	if c.rare == nil {
		r := &rare{c: c}
		r.flush.Owner = r
		r.deadlines[0].Owner, r.deadlines[1].Owner = r, r
		c.rare = r
	}
	return c.rare
}

func (r *rare) await(t *task) {
	if r.tail == nil {
		r.head = t
	} else {
		r.tail.next = t
	}
	r.tail = t
}

// Flush answers the writes whose bytes are gone. If this side can neither write
// nor has closed, a write has failed, and they were not sent.
func (r *rare) Flush() {
	var failed error
	if r.c.state == open && !r.c.shut {
		_, failed = r.c.t.Write(nil)
	}
	for r.head != nil && r.head.gone {
		r.pop().answer(failed)
	}
}

func (r *rare) pop() *task {
	t := r.head
	if r.head = t.next; r.head == nil {
		r.tail = nil
	}
	return t
}

// Expire is a deadline's.
func (r *rare) Expire(t *loop.Timer) { r.c.expired(t == &r.deadlines[1]) }

// failTasks answers what was not answered when the connection has ended.
func (c *conn) failTasks(err error) {
	if c.rare == nil {
		return
	}
	c.rare.deadlines[0].Stop()
	c.rare.deadlines[1].Stop()
	for c.rare.head != nil {
		c.rare.pop().answer(err)
	}
}

// endRare tells those who have closed.
func (c *conn) endRare() {
	if c.rare == nil {
		return
	}
	for _, f := range c.rare.ends {
		c.call(f, nil)
	}
	c.rare.ends = nil
}
