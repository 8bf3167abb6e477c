package sim

// A coroutine is a function that runs in turns with its caller, one of them at
// a time, as iter.Pull has it. That wants both ends of it on goroutines which are
// locked to their threads alike, always; a loop locks its goroutine when it runs,
// and a child may be there before.
type coroutine struct {
	f       func(yield func() bool)
	resume  chan bool     // true: go on; false: come to an end
	yielded chan struct{} // closed by the function's end
	begun   bool
	over    bool
	ending  bool // of the function's goroutine: it was told to end
	panicky bool // and of what it panicked with
	value   any
}

// newCoroutine returns a coroutine of f, which has not begun. f gives its turn
// back by yield, and comes to an end when that answers false.
func newCoroutine(f func(yield func() bool)) *coroutine {
	return &coroutine{f: f, resume: make(chan bool), yielded: make(chan struct{})}
}

// next lets f go on until it yields, and reports whether it did; if not, it has
// ended. What it panics with, next panics with.
func (c *coroutine) next() bool {
	switch {
	case c.over:
		return false
	case !c.begun:
		c.begun = true
		go c.run()
	default:
		c.resume <- true
	}
	return c.turn()
}

// stop makes f come to an end.
func (c *coroutine) stop() {
	switch {
	case c.over:
	case !c.begun:
		c.over = true
	default:
		c.resume <- false
		c.turn()
	}
}

// turn waits for f.
func (c *coroutine) turn() bool {
	if _, yielded := <-c.yielded; yielded {
		return true
	}
	c.over = true
	if c.panicky {
		panic(c.value)
	}
	return false
}

func (c *coroutine) run() {
	defer close(c.yielded)
	defer func() {
		if v := recover(); v != nil {
			c.panicky, c.value = true, v
		}
	}()
	c.f(c.yield)
}

func (c *coroutine) yield() bool {
	if !c.ending {
		c.yielded <- struct{}{}
		c.ending = !<-c.resume
	}
	return !c.ending
}
