package transport

// hotFrom is from how many bytes on what a DataReceived writes goes out as soon
// as that has returned, if it is written by a system call at all. What it was made from
// was received just now, so the processor has it in its cache, from which the
// receives of the rest of the turn would drive it.
const hotFrom = 16 << 10

// heat notes that c has much to send, if DataReceived is running: c's own or
// another connection's. One connection's output is all that is still warm: a second
// one's waits for the end of the turn, as everything else does.
func (c *Conn) heat() {
	if c.pool.hot == nil && c.pool.lent.bytes != nil && c.out.n >= max(hotFrom, c.pool.writeFrom) {
		c.pool.hot = c
	}
}

// strike sends what is hot. The flush that was queued with it finds the rest.
func (p *pool) strike() {
	if c := p.hot; c != nil {
		p.hot = nil
		c.transmit()
	}
}
