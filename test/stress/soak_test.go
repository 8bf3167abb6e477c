package stress

import (
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
)

// A moody echo pauses, closes and aborts as it likes.
type moody struct {
	echo
	rng *rand.Rand
}

func (p *moody) DataReceived(b []byte) {
	p.echo.DataReceived(b)
	switch p.rng.IntN(400) {
	case 0:
		p.t.AbortConnection()
	case 1:
		p.t.LoseConnection()
	case 2, 3, 4:
		p.t.PauseReading()
		_ = p.t.Loop().Call(func() { p.t.ResumeReading() })
	}
}

// Many connections live short lives, for a while: an hour with 1,000 of them if
// MOBIUS_LONG=1. What comes back is what was sent, until somebody ends it; and
// in the end nothing is held, and there are as many descriptors and goroutines as
// in the beginning.
func TestSoak(t *testing.T) {
	each(t, func(s *site) {
		clients, length := 100, time.Second
		if testenv.Long() {
			clients, length = 1000, time.Hour/7 // the reactors share the hour
		}
		var e end
		seed := uint64(time.Now().UnixNano())
		defer func() {
			if s.Failed() {
				s.Logf("seed %d", seed)
			}
		}()
		port := s.listen(func() mobius.Protocol {
			return &moody{echo{end: &e}, rand.New(rand.NewPCG(seed, uint64(e.made.Load())))}
		}, mobius.ListenOptions{})
		end := time.Now().Add(length)
		s.together(clients, clients, func(i int) error {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			for time.Now().Before(end) {
				if err := life(port.Addr().String(), rng); err != nil {
					return err
				}
			}
			return nil
		})
		e.all(s, int64(clients))
		s.Logf("%d connections", e.made.Load())
		s.ask(func() {
			if st := s.Loops()[0].Backend().Stats(); st.Holds != 0 || st.Handles > 1 {
				s.Errorf("left: %+v", st)
			}
		})
	})
}

// life is one connection's. Its errors are what came back wrong; that it ended
// early is the server's mood.
func life(addr string, rng *rand.Rand) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	p := make([]byte, 1+rng.IntN(1<<rng.IntN(16)))
	got := make([]byte, len(p))
	for range rng.IntN(50) {
		for i := range p {
			p[i] = byte(rng.Uint32())
		}
		if _, err := c.Write(p); err != nil {
			return nil
		}
		n, err := io.ReadFull(c, got)
		if string(got[:n]) != string(p[:n]) {
			return fmt.Errorf("%d bytes came back, and are others", n)
		}
		if err != nil {
			return nil
		}
	}
	if rng.IntN(3) == 0 {
		_ = c.SetLinger(0)
	}
	return nil
}
