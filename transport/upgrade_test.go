package transport

import (
	"testing"

	"mobius/loop"
)

// A coat is a layer that does nothing but turn each byte over on its way, and
// count what passes through it.
type coat struct {
	Transport // below
	up        Upgraded
	calls     int
}

func (c *coat) ConnectionMade(Transport) { panic("a layer's ConnectionMade was called") }

func (c *coat) DataReceived(p []byte) { c.up.Above.DataReceived(flip(p)) }

func (c *coat) ConnectionLost(err error) { c.up.Above.ConnectionLost(err) }

func (c *coat) Write(p []byte) (int, error) {
	c.calls++
	return c.Transport.Write(flip(p))
}

func (c *coat) LoseConnection() { c.CloseWithError(nil) }

func (c *coat) CloseWithError(err error) {
	c.calls++
	c.Transport.CloseWithError(err)
}

func (c *coat) Unwrap() any { return c.Transport }

func flip(p []byte) []byte {
	q := make([]byte, len(p))
	for i, b := range p {
		q[i] = ^b
	}
	return q
}

// putOn puts a coat on t.
func putOn(w *world, t Transport) *coat {
	w.t.Helper()
	u, ok := As[Upgrader](t)
	if !ok {
		w.t.Fatal("the transport is no Upgrader")
	}
	c := &coat{}
	up, err := u.Upgrade(c, c)
	if err != nil {
		w.t.Fatal(err)
	}
	c.Transport, c.up = up.Below, up
	return c
}

// Whoever holds the transport reaches the layer; what was written before it
// came is sent as it was.
func TestUpgrade(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		w.pair(s, c, nil)
		s.c.Write([]byte("plain"))
		cover := putOn(w, s.c)
		if cover.up.Above != Protocol(s) || cover.up.Paused || cover.up.Full || cover.up.Options.HighWater != DefaultHighWater {
			t.Fatalf("Upgrade found %+v", cover.up)
		}
		s.c.Write([]byte{^byte('!')})
		c.c.Write([]byte{^byte('?')})
		w.until("both have got it", func() bool { return c.got.String() == "plain!" && s.got.String() == "?" })
		if got, ok := As[*coat](s.c); !ok || got != cover {
			t.Error("As does not find the layer from the transport below")
		}
		s.c.LoseConnection()
		w.until("both ends", func() bool { return s.err != nil && c.err != nil })
		if cover.calls != 2 {
			t.Errorf("%d calls came to the layer, want a Write and a close", cover.calls)
		}
	})
}

// A pause and a full queue are the layer's to know of, and input that a pause
// has kept is the layer's.
func TestUpgradeOfAPausedConnection(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		w.pair(drain{s}, c, &Options{HighWater: 10})
		s.c.PauseReading()
		s.c.Write(make([]byte, 11))
		c.c.Write([]byte{^byte('?')})
		w.turns(3)
		cover := putOn(w, s.c)
		if !cover.up.Paused {
			t.Errorf("Upgrade found %+v", cover.up)
		}
		w.until("what was kept came through the layer", func() bool { return s.got.String() == "?" })
	})
}

// Where one direction has ended nothing can be put on.
func TestUpgradeTooLate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		w.pair(s, c, nil)
		s.c.LoseWriteConnection()
		if _, err := s.c.Upgrade(&coat{}, &coat{}); err != ErrNotWritable {
			t.Fatalf("Upgrade after LoseWriteConnection: %v", err)
		}
	})
}

// In the loop's Shutdown the layer is asked to end, not the connection below.
func TestUpgradeAndShutdown(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		w.pair(s, c, nil)
		cover := putOn(w, s.c)
		w.l.Shutdown(1 << 40)
		for w.l.Err() == nil {
			if err := w.l.Iterate(w.limit); err != nil && err != loop.ErrStopped {
				t.Fatal(err)
			}
		}
		if cover.calls != 1 || s.err == nil {
			t.Errorf("%d calls came to the layer, want one, of LoseConnection; lost: %v", cover.calls, s.err)
		}
	})
}
