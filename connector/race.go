package connector

import (
	"net/netip"
	"strings"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// shortestDelay is the least time between the begins of two attempts, unless
// the first has failed (RFC 8305, section 5).
const shortestDelay = 10 * time.Millisecond

// A race connects to the addresses of one attempt, each begun a moment after
// the one before it, or at once when one fails, and keeps the first connection:
// Happy Eyeballs (RFC 8305, section 5). With a single address it is one
// Connect op, and allocates nothing.
//
// It ends, by Connector.raced, when nothing of it is active any more.
//
//	         start              success, or halt        no op active
//	over ───────────▶ running ───────────────────▶ over ─────────────▶ raced
//	                   │   ▲  next address: delay,
//	                   └───┘  failure
type race struct {
	c        *Connector
	timer    loop.Timer
	rest     []proactor.Address // not begun
	first    runner
	others   []*runner // kept for the next race
	active   int
	over     bool // no more is begun, what is active is cancelled
	failures attemptErrors
	winner   proactor.Handle // 0: none yet
	at       proactor.Address
}

// A runner is one address's part in a race.
type runner struct {
	op   proactor.Op
	race *race
	to   proactor.Address
}

func (r *race) init(c *Connector) {
	r.c, r.over = c, true
	r.timer.Owner = (*raceTimer)(r)
	r.prepare(&r.first)
}

func (r *race) prepare(n *runner) {
	n.race = r
	n.op = proactor.Op{Kind: proactor.OpConnect, Owner: n, Addr: &n.to}
}

// start begins a race to the addresses, at least one.
func (r *race) start(to []proactor.Address) {
	r.rest, r.over, r.winner, r.failures = to, false, 0, nil
	r.next()
}

// next begins the next address. Without one left, and with nothing active, the
// race is over.
func (r *race) next() {
	r.timer.Stop()
	for len(r.rest) > 0 {
		c, to := r.c, r.rest[0]
		c.target, r.rest = to, r.rest[1:]
		h, err := c.socket()
		if err != nil {
			e := connError("socket", to, err)
			if c.o.Local.IsValid() {
				e.Op = "bind" // it fails for that reason nearly always
			}
			r.failures = append(r.failures, e)
			continue
		}
		n := r.idle()
		n.to, n.op.Handle = to, h
		r.active++
		c.l.Submit(&n.op)
		if len(r.rest) > 0 && c.o.AttemptDelay > 0 {
			c.l.Start(&r.timer, max(c.o.AttemptDelay, shortestDelay))
		}
		return
	}
	if r.active == 0 {
		r.over = true
		r.c.raced()
	}
}

// idle returns a runner that is not active.
func (r *race) idle() *runner {
	if !r.first.op.Active() {
		return &r.first
	}
	for _, n := range r.others {
		if !n.op.Active() {
			return n
		}
	}
	n := &runner{}
	r.prepare(n)
	r.others = append(r.others, n)
	return n
}

// halt ends the race, and reports whether raced is still to come.
func (r *race) halt() bool {
	r.timer.Stop()
	r.over, r.rest = true, nil
	if r.active == 0 {
		return false
	}
	r.c.l.Cancel(&r.first.op)
	for _, n := range r.others {
		r.c.l.Cancel(&n.op)
	}
	return true
}

// take returns the connection that has won, if any, to whoever keeps it.
func (r *race) take() (proactor.Handle, proactor.Address) {
	h := r.winner
	r.winner = 0
	return h, r.at
}

// Complete takes the result of one address.
func (n *runner) Complete(op *proactor.Op) {
	r := n.race
	r.active--
	switch {
	case r.over:
		r.c.close(op.Handle) // also if it was connected in the last moment
	case op.Err != nil:
		r.c.close(op.Handle)
		r.failures = append(r.failures, connError("connect", n.to, op.Err))
		r.next()
		return
	default:
		r.winner, r.at = op.Handle, n.to
		r.c.timer.Stop() // what is left is to cancel the others
		r.halt()
	}
	if r.active == 0 {
		r.c.raced()
	}
}

// raceTimer is a race as its timer sees it.
type raceTimer race

// Expire begins the next address beside those under way.
func (t *raceTimer) Expire(*loop.Timer) { (*race)(t).next() }

// interleave orders addresses so that their families take turns, the first
// one's first, and otherwise as they come (RFC 8305, section 4).
func interleave(ips []netip.Addr) []netip.Addr {
	var families [2][]netip.Addr // the first one's, and the other
	for _, ip := range ips {
		if ip.Unmap().Is4() == ips[0].Unmap().Is4() {
			families[0] = append(families[0], ip)
		} else {
			families[1] = append(families[1], ip)
		}
	}
	mixed := make([]netip.Addr, 0, len(ips))
	for i := 0; len(mixed) < len(ips); i++ {
		for _, family := range families {
			if i < len(family) {
				mixed = append(mixed, family[i])
			}
		}
	}
	return mixed
}

// attemptErrors are the failures of the addresses of one attempt, in the order
// in which they came.
type attemptErrors []*transport.ConnError

// joined returns them as one: as they are, if there is one, else with the last
// address, and the kind that they have in common.
func (a attemptErrors) joined() *transport.ConnError {
	last := a[len(a)-1]
	if len(a) == 1 {
		return last
	}
	kind := last.Kind
	for _, e := range a {
		if e.Kind != kind {
			kind = transport.Failed
		}
	}
	return &transport.ConnError{Op: last.Op, Addr: last.Addr, Kind: kind, Err: a}
}

// with returns err, and the failures beside it.
func (a attemptErrors) with(err error) error {
	if len(a) == 0 {
		return err
	}
	return &lateError{err: err, before: a}
}

// Error returns all of them on one line.
func (a attemptErrors) Error() string {
	var b strings.Builder
	for i, e := range a {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(e.Error())
	}
	return b.String()
}

// Unwrap returns all of them, for errors.Is and errors.As.
func (a attemptErrors) Unwrap() []error {
	all := make([]error, len(a))
	for i, e := range a {
		all[i] = e
	}
	return all
}

// A lateError is what ended an attempt of which some addresses had failed.
type lateError struct {
	err    error
	before attemptErrors
}

// Error returns the end, and the failures before it.
func (e *lateError) Error() string { return e.err.Error() + " (before: " + e.before.Error() + ")" }

// Unwrap returns both.
func (e *lateError) Unwrap() []error { return append([]error{e.err}, e.before.Unwrap()...) }
