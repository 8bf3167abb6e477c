package transport

import "time"

// A state is where a Conn is in its life.
//
//	made ──Start──▶ open
//
//	open      ──peer's end, HalfCloser──▶ readDone
//	open      ──peer's end, others──────▶ losing
//	open      ──LoseWriteConnection─────▶ shutting
//	readDone  ──LoseWriteConnection─────▶ shutting
//	shutting  ──flushed, FIN sent───────▶ shut, or dying if the peer has ended too
//	shut      ──peer's end──────────────▶ dying
//
//	open, readDone, shutting ──LoseConnection, CloseWithError──▶ losing
//	shut      ──LoseConnection, CloseWithError──▶ lingering, or dying after EndInput
//	losing    ──flushed, FIN sent───────▶ lingering, or dying if the peer has ended too, or after EndInput
//	lingering ──peer's end, deadline────▶ dying
//
//	open, shutting, shut     ──write failed────────────────────▶ failing
//	failing   ──peer's end, read error, deadline, a pause, LoseConnection──▶ dying
//
//	open, readDone           ──Detach──────────────────────────▶ detaching
//	detaching ──flushed, reading stopped──▶ dead (handed over)
//	detaching ──LoseConnection────────────▶ losing
//
//	all but made  ──AbortConnection, error, panic, deadline, the loop's stop──▶ dying
//	dying     ──no operation active───────▶ dead (descriptor closed, ConnectionLost called)
type state uint8

const (
	made      state = iota // by NewConn: the handle is still its maker's
	open                   // both directions are
	readDone               // the peer has finished, the protocol goes on writing
	shutting               // output is being flushed, then comes the FIN; reading goes on
	shut                   // the FIN is sent; reading goes on
	losing                 // output is being flushed, then comes the FIN; input is dropped
	lingering              // the FIN is sent; input is dropped until the peer's end
	failing                // a write failed; what the peer has sent before is still delivered
	detaching              // output is being flushed, input is kept for the new owner
	dying                  // the end is decided; operations are being cancelled
	dead                   // after the end
	states
)

var stateNames = [states]string{
	"made", "open", "readDone", "shutting", "shut", "losing", "lingering", "failing", "detaching", "dying", "dead",
}

// String returns the state's name.
func (s state) String() string { return stateNames[s] }

// A stateSet is a set of states.
type stateSet uint16

func (s state) in(set stateSet) bool { return set>>s&1 != 0 }

// What may happen in which state.
const (
	writable  stateSet = 1<<open | 1<<readDone                         // Write takes bytes
	delivers  stateSet = 1<<open | 1<<shutting | 1<<shut | 1<<failing  // DataReceived is called
	discards  stateSet = 1<<losing | 1<<lingering                      // input is read and dropped
	alive     stateSet = 1<<dying - 1<<open                            // the end is not decided
	flushable stateSet = 1<<shutting | 1<<losing | 1<<detaching        // something waits for the output
	paced     stateSet = 1<<open | 1<<readDone | 1<<shutting | 1<<shut // any byte that moves is progress
	flushing  stateSet = 1<<losing | 1<<detaching                      // only a byte that is sent is progress
)

// patience returns how long the connection may be in its state without
// progress, 0 if for ever.
func (c *Conn) patience() time.Duration {
	var d time.Duration
	switch c.state {
	case open:
		d = c.o.idleTimeout()
	case readDone, shutting, shut:
		d = c.o.halfClosedTimeout()
	case losing, lingering, failing, detaching:
		d = c.o.closeTimeout()
	}
	return max(d, 0)
}

// enter moves the connection to another state, whose patience begins now.
func (c *Conn) enter(s state) {
	c.state = s
	c.since = c.l.Now()
	c.arm()
}

// arm makes the timer fire no later than the patience ends. It mostly finds
// the timer armed for earlier: Expire will look again then.
func (c *Conn) arm() {
	d := c.patience()
	if d > 0 && (!c.timer.Active() || c.timer.Deadline() > c.since+d) {
		c.l.Start(&c.timer, d)
	}
}

// progress notes that bytes moved. It costs a store, and nothing while no
// deadline is set: of an open connection without options, as most are, that is known here.
func (c *Conn) progress(in stateSet) {
	if c.state != open || c.o != nil {
		c.note(in)
	}
}

// note is the rest of progress.
func (c *Conn) note(in stateSet) {
	if c.state.in(in) && (c.state != open || c.o.idleTimeout() > 0) {
		c.since = c.l.Now()
	}
}

// looks is into how many parts a patience is cut while a send is under way, to
// see whether a part of it was taken: how much later than it should the end
// may come.
const looks = 4

// watch makes the timer look at the send that has just begun. It touches the
// timer at most once in a part of the patience.
func (c *Conn) watch() {
	if d := c.patience() / looks; d > 0 && (!c.timer.Active() || c.timer.Deadline() > c.l.Now()+d) {
		c.l.Start(&c.timer, d)
	}
}

// expire is the timer. It was armed for a deadline that may have moved on
// since, since progress does not touch the timer.
func (c *Conn) expire() {
	d := c.patience()
	if d <= 0 {
		return
	}
	now, sending := c.l.Now(), c.send.Active()
	if rest := c.send.Remaining(); sending && rest != c.rest && c.state.in(paced|flushing) {
		c.rest, c.since = rest, now
	}
	left := c.since + d - now
	if left <= 0 {
		c.expired()
		return
	}
	if sending {
		left = min(left, max(d/looks, 1))
	}
	c.l.Start(&c.timer, left)
}
