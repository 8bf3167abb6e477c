package sim

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"mobius/proactor"
)

// A Deadlock is the error of a Poll that would wait for ever: nothing is due
// on the whole network, and every backend waits. Or everything goes on, but not
// to an end: [Options].Limit has passed.
type Deadlock struct {
	Seed uint64
	At   time.Duration // the virtual time
	Late bool          // it is not that nothing is due, but that Options.Limit has passed
	Ops  []string      // every op that is still active, in words
}

// Error names every op that waits.
func (d *Deadlock) Error() string {
	why := "nothing is due"
	if d.Late {
		why = "the limit of time has passed"
	}
	text := fmt.Sprintf("sim: deadlock at %v with seed %d: %s, and %d ops wait", d.At, d.Seed, why, len(d.Ops))
	return strings.Join(append([]string{text}, d.Ops...), "\n\t")
}

func (n *Net) deadlock(late bool) error {
	d := &Deadlock{Seed: n.o.Seed, At: time.Duration(n.now), Late: late}
	for _, b := range n.backends {
		d.Ops = append(d.Ops, b.liveOps()...)
	}
	return d
}

// liveOps describes the ops of b that are not idle.
func (b *Backend) liveOps() (ops []string) {
	for i := range b.slots {
		at := &b.slots[i]
		op := at.op
		if op == nil {
			continue
		}
		text := fmt.Sprintf("backend %d: %v", b.index, op.Kind)
		if at.sock != nil {
			text += " on " + at.sock.String()
		}
		if at.dst != nil {
			text += " into " + at.dst.String()
		}
		if op.Kind == proactor.OpSend || op.Kind == proactor.OpSendTo {
			text += fmt.Sprintf(", %d bytes left", op.Remaining())
		}
		if op.B.Where == &b.starved {
			text += ", starved of buffers"
		}
		ops = append(ops, fmt.Sprintf("%s, owner %T", text, op.Owner))
	}
	return ops
}

// leftovers describes what b's owners have not given back.
func (b *Backend) leftovers() (left []string) {
	left = b.liveOps()
	for _, p := range b.places {
		if p.sock != nil {
			left = append(left, fmt.Sprintf("backend %d: open %s", b.index, p.sock.String()))
		}
	}
	b.collect()
	if count := b.holds.Len(); count > 0 {
		left = append(left, fmt.Sprintf("backend %d: %d holds", b.index, count))
	}
	if count := b.lentOut() - b.holds.Len(); count > 0 {
		left = append(left, fmt.Sprintf("backend %d: %d lent buffers", b.index, count))
	}
	return left
}

// Leaks returns nil if everything was given back: on each backend handles,
// ops, holds and lent buffers (for one that is closed, at its Close), and on
// the network virtual descriptors. Else its error lists what was not.
func (n *Net) Leaks() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	left := append([]string(nil), n.lost...)
	for _, b := range n.backends {
		left = append(left, b.leftovers()...)
	}
	if len(n.files) > 0 {
		left = append(left, fmt.Sprintf("%d virtual descriptors", len(n.files)))
	}
	if len(left) == 0 {
		return nil
	}
	return errors.New("sim: left over:\n\t" + strings.Join(left, "\n\t"))
}
