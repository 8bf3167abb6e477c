package netconn

// A halt is whether a connection's loop receives ahead.
//
//	flowing ──stopReceiving──▶ halting ──its Recv has ended──▶ halted
//	   ▲                          │                              │
//	   └──────────────────── resumeReceiving ────────────────────┘
type halt uint8

const (
	flowing halt = iota
	halting
	halted
)

// stopReceiving has the loop receive nothing until resumeReceiving, and waits for
// that: what has come by then is kept. The turn to read is the caller's.
func (c *Conn) stopReceiving() error {
	r := &c.r
	r.mu.Lock()
	if r.halt == flowing {
		r.halt = halting
		r.mu.Unlock()
		c.post()
		r.mu.Lock()
	}
	defer r.mu.Unlock()
	for r.halt != halted {
		if err := c.unreadable(); err != nil {
			return err
		}
		r.await()
	}
	return nil
}

// resumeReceiving takes a stopReceiving back.
func (c *Conn) resumeReceiving() {
	r := &c.r
	r.mu.Lock()
	was := r.halt
	r.halt, r.polling = flowing, false
	if was != flowing {
		r.stopped = true // the loop goes on if there is room, or when there is
	}
	r.mu.Unlock()
	if was != flowing {
		c.post()
	}
}

// serveHalt stops receiving, or waits for bytes in its stead, if that is wanted. Loop
// goroutine.
func (c *Conn) serveHalt() {
	r := &c.r
	r.mu.Lock()
	stop := r.halt == halting && c.recv.Active()
	if r.halt == halting && !stop {
		r.halt = halted
		c.k.later(&r.w)
	}
	poll := r.polling && c.ending == nil
	r.mu.Unlock()
	switch {
	case stop:
		c.l.Cancel(&c.recv)
	case poll && !c.seldom().polls[0].Active():
		c.l.Submit(&c.rare.polls[0])
	case !poll && c.rare != nil:
		c.l.Cancel(&c.rare.polls[0])
	}
}
