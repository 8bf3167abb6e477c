package transport

import (
	"testing"

	"mobius/loop"
)

// A queuedThen looks at a connection's queue in a flush.
type queuedThen struct {
	c      *Conn
	queued int
}

func (q *queuedThen) Flush() { q.queued = q.c.Queued() }

// Much output of a DataReceived goes when that has returned, whichever connection's it is;
// little, and that of a second connection, at the turn's end.
func TestHotOutput(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if w.l.WriteFrom() > hotFrom {
			t.Skip("this backend writes nothing at once")
		}
		a, b := w.rec("a"), w.rec("b")
		peer := w.rec("a's peer")
		w.pair(a, peer, nil)
		w.pair(b, w.rec("b's peer"), nil)
		for _, x := range []struct {
			name         string
			to           []*rec
			n            int
			leftA, leftB int
		}{
			{"to itself", []*rec{a}, hotFrom, 0, 0},
			{"little", []*rec{a}, hotFrom - 1, hotFrom - 1, 0},
			{"to another one", []*rec{b}, hotFrom, 0, 0},
			{"to both", []*rec{a, b}, hotFrom, 0, hotFrom},
		} {
			qa, qb := &queuedThen{c: a.c, queued: -1}, &queuedThen{c: b.c, queued: -1}
			fa, fb := loop.Flush{Owner: qa}, loop.Flush{Owner: qb}
			a.onData = func(*rec) {
				w.l.AtTurnEnd(&fa) // runs before the flushes of the connections
				w.l.AtTurnEnd(&fb)
				for _, r := range x.to {
					_, _ = r.c.Write(pattern(0, x.n))
				}
			}
			_, _ = peer.c.Write(pattern(0, 1))
			w.until("its flushes have run", func() bool { return qa.queued >= 0 && qb.queued >= 0 })
			if qa.queued != x.leftA || qb.queued != x.leftB {
				t.Errorf("%s: %d and %d bytes wait for the turn's end, want %d and %d", x.name, qa.queued, qb.queued, x.leftA, x.leftB)
			}
			w.until("all is sent", func() bool { return a.c.Queued() == 0 && b.c.Queued() == 0 })
		}
	})
}
