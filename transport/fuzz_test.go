package transport

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"mobius/internal/invariant"
	"mobius/proactor"
	"mobius/sim"
)

// step does one random thing.
func (a *walker) step() {
	k, c := a.k, a.c
	if k.ending {
		a.finish()
		return
	}
	n := 1 + k.rng.IntN([]int{10, min(3000, k.most), k.most}[k.rng.IntN(3)])
	switch x := k.rng.IntN(100); {
	case x < 25:
		p := a.next(n)
		a.wrote(p, func() error { _, err := c.Write(p); return err })
		clear(p) // it was copied
	case x < 35:
		p := a.next(2 * n)
		a.wrote(p, func() error { _, err := c.Writev([][]byte{p[:n], nil, p[n:]}); return err })
	case x < 50:
		a.writeOwned(n)
	case x < 70:
		c.PauseReading()
	case x < 88:
		c.ResumeReading()
	case x < 90:
		c.LoseWriteConnection()
		a.out.done = true
	case x < 92:
		c.LoseConnection()
		a.out.done = true
		a.in.cut = true // what comes is dropped here
	case x < 93:
		c.CloseWithError(errors.New("enough"))
		a.out.done = true
		a.in.cut = true
	case x < 95:
		a.detach()
	case x < 96 && !k.gentle:
		a.out.cut = true
		c.AbortConnection()
	default: // what happens to one connection inside another's callback
		if b := k.walkers[k.rng.IntN(len(k.walkers))]; b.inside == 0 && b.losts == 0 && b.c != nil {
			b.tick()
		}
	}
}

// next returns the n bytes that a stream goes on with: nothing of them repeats.
func (a *walker) next(n int) []byte { return pattern(len(a.out.sent), n) }

func (a *walker) writeOwned(n int) {
	p := a.next(n)
	a.owned++
	a.wrote(p, func() error { return a.c.WriteOwned(p, func() { a.released++; clear(p) }) })
}

// wrote notes p as sent unless the write is refused. It is noted before, since
// the write may call PauseWriting, which may write.
func (a *walker) wrote(p []byte, write func() error) {
	before := len(a.out.sent)
	a.out.sent = append(a.out.sent, p...)
	if err := write(); err != nil {
		if len(a.out.sent) != before+len(p) {
			a.k.t.Errorf("%s: a refused write called back", a.name)
		}
		a.out.sent = a.out.sent[:before]
	}
}

func (a *walker) detach() {
	if a.k.gentle && a.c.Queued() > 0 {
		return // two who wait for each other to read, without a deadline
	}
	err := a.c.Detach(func(h proactor.Handle, unread []byte, err error) {
		if err != nil {
			return
		}
		a.gave = true
		a.took(unread)
		a.k.start("successor of "+a.name, h, a.c.RemoteAddr(), a.in, a.out)
	})
	if err != nil && !errors.Is(err, ErrNotWritable) {
		a.k.t.Errorf("%s: Detach: %v", a.name, err)
	}
}

// finish brings an end to its end.
func (a *walker) finish() {
	a.c.ResumeReading()
	a.out.done = true
	if a.k.gentle {
		a.c.LoseWriteConnection()
	} else {
		a.c.LoseConnection()
		a.in.cut = true
	}
}

// walk lets all ends walk for a while, and then end.
func (k *walk) walk() {
	k.begin(1 + k.rng.IntN(4))
	long := time.Duration(k.rng.Int64N(int64(10 * time.Second)))
	if k.net == nil {
		long /= 50
	}
	k.until("the walk is over", after(k.world, long))
	k.ending = true
	k.until("all have ended", func() bool {
		for _, a := range k.walkers {
			if a.losts == 0 {
				return false
			}
		}
		return true
	})
	k.pass(3 * time.Minute) // dials that time out
	for _, a := range k.walkers {
		if a.losts == 0 {
			a.c.AbortConnection()
		}
	}
	k.close()
	if k.gentle {
		for _, l := range k.links {
			for _, s := range []*stream{&l.up, &l.down} {
				if !s.cut && s.got != len(s.sent) {
					k.t.Errorf("%d of %d bytes arrived%s", s.got, len(s.sent), k.story())
				}
			}
		}
	}
}

// Random calls on connections over random networks: every byte in its place,
// every end once, nothing left.
func TestRandomWalks(t *testing.T) {
	walks := 2000
	if invariant.Enabled {
		walks = 60
	}
	sim.Run(t, walks, func(t *sim.T) { newWalk(t, t.Seed%2 == 0).walk() })
}

// The same on real backends, without faults: what the kernel does by itself is
// what the model expects.
func TestRandomWalksOnRealBackends(t *testing.T) {
	for seed := range uint64(8) {
		each(t, func(t *testing.T, w *world) {
			if w.net != nil {
				return // TestRandomWalks
			}
			newWalkIn(w, rand.New(rand.NewPCG(seed, 8)), seed%2 == 0).walk()
		})
	}
}

// One seed is one run.
func TestWalksRepeat(t *testing.T) {
	sim.Run(t, 20, func(t *sim.T) {
		var hash [2]uint64
		for i := range hash {
			k := newWalk(t, false)
			k.walk()
			hash[i] = k.net.TraceHash()
		}
		if hash[0] != hash[1] {
			t.Error("two traces")
		}
	})
}
