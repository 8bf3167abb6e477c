package backendtest

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"mobius/proactor"
)

// Sentence 7a: what other goroutines may do.

func s7aWakeAfterCloseDoesNothing(w *world) {
	d := w.another()
	d.b.Wake()
	if err := d.b.Close(); err != nil {
		w.Fatalf("Close: %v", err)
	}
	d.closed = true
	for range 3 {
		d.b.Wake()
	}
	if err := d.b.Poll(0); err == nil {
		w.Error("Poll after Close answers no error")
	}
	if _, err := d.b.TryWrite(proactor.MakeHandle(1, 1), [][]byte{{1}}); err == nil {
		w.Error("TryWrite after Close answers no error")
	}
}

func s7aTokenIsTheLoopsUntilShared(w *world) {
	a, b := w.connect()
	t := a.d.b.Token(a.h)
	if t == nil {
		w.Fatal("Token of an open stream is nil")
	}
	w.elsewhere(func() {
		if t.Enter(a.h) {
			w.report("entered a token that the loop keeps")
			t.Leave(a.h)
		}
	})
	if !t.Share(a.h) {
		w.Fatal("Share of a new stream's token fails")
	}
	r := b.read(1)
	w.elsewhere(func() {
		if !t.Enter(a.h) {
			w.report("cannot enter a shared token")
			return
		}
		a.tryAll(1, 0, 30)
		t.Leave(a.h)
	})
	w.until("what a guest wrote arrives", r.has(30))
	if !t.Keep(a.h) {
		w.Fatal("the loop cannot take the token back")
	}
	a.say(made(1, 30, 10))
	w.until("what the loop wrote arrives behind it", r.has(40))
	a.close()
	r.wantEnd(40)
	if t.Enter(a.h) || a.d.b.Token(a.h) != nil {
		w.Fatal("the token outlived its handle")
	}
	if n, err := a.d.b.TryWrite(a.h, [][]byte{{1}}); n != 0 || err != proactor.ErrClosed {
		w.Fatalf("TryWrite on a closed stream: %d, %v", n, err)
	}
}

// tryAll writes n bytes of seed's stream, which fit, in as many calls of
// TryWrite as it takes. Any goroutine.
func (s stream) tryAll(seed uint64, off int64, n int) {
	for calls := 0; n > 0; calls++ {
		took, err := s.d.b.TryWrite(s.h, [][]byte{made(seed, off, n/3), nil, made(seed, off+int64(n/3), n-n/3)})
		if err != nil || took < 0 || took > n || calls > 1000 {
			s.d.report("TryWrite of %d bytes that fit: %d, %v, after %d calls", n, took, err, calls)
			return
		}
		off, n = off+int64(took), n-took
	}
}

// put sends n bytes of seed's stream, which fit, without an op if that can be.
func (s stream) put(seed uint64, off int64, n int) {
	if s.d.w.cfg.SendsOnly {
		s.say(made(seed, off, n))
		return
	}
	s.tryAll(seed, off, n)
}

func s7aTryWriteTakesWhatFits(w *world) {
	a, b, _ := w.connectWith(small)
	if from := a.d.b.WriteFrom(); from < 1 || from != a.d.b.WriteFrom() {
		w.Errorf("WriteFrom is %d, want one positive number", from)
	}
	total := int64(w.size(4 << 20))
	buf := made(2, 0, int(total))
	sent, empty := 0, false
	write := func() {
		n, err := a.d.b.TryWrite(a.h, [][]byte{buf[sent : sent+(len(buf)-sent)/2], buf[sent+(len(buf)-sent)/2:]})
		if err != nil || n < 0 || n > len(buf)-sent {
			w.Fatalf("TryWrite of %d bytes: %d, %v", len(buf)-sent, n, err)
		}
		sent, empty = sent+n, empty || n == 0 && sent < len(buf)
	}
	for range 1 << 20 {
		if had := sent; sent < len(buf) {
			if write(); sent > had {
				continue
			}
		}
		break
	}
	if total > 1<<20 && !empty {
		w.Fatalf("%d bytes went to a peer that does not read", sent)
	}
	r := b.read(2)
	w.settles("everything that was taken arrives", func() bool {
		if sent < len(buf) {
			write()
		}
		return r.got == total
	})
	a.shutdown()
	r.wantEnd(total)
}

func s7aTryWriteTellsAResetPeer(w *world) {
	a, b := w.connect()
	b.reset()
	var err error
	w.settles("TryWrite to a peer that is gone fails", func() bool {
		_, err = a.d.b.TryWrite(a.h, [][]byte{{1}})
		return err != nil
	})
	if !isReset(err) {
		w.Fatalf("TryWrite: %v, want ECONNRESET or EPIPE", err)
	}
}

// alongside turns until cond holds, while other goroutines work in real time.
func (w *world) alongside(what string, cond func() bool) {
	w.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(end) {
			w.Fatalf("in vain: %s\n%s", what, w.dump())
		}
		if w.cfg.Virtual {
			runtime.Gosched()
		}
		w.step()
	}
}

// s7aManyGoroutines has 64 goroutines that write to one stream under its
// token, release the holds of another, and wake the loop, all at once.
func s7aManyGoroutines(w *world) {
	const guests = 64
	a, b := w.connect()
	c, d := w.connect()
	total := int64(w.size(1 << 20))
	if w.cfg.Virtual {
		total = min(total, 64<<10) // the goroutines are real there too
	}
	r := b.read(1) // what the guests write
	k := &keeper{d: w.server, stingy: true}
	in := d.read(2) // what the guests release
	k.keep(in)
	pieces := make(chan *piece, 1<<16)
	hold := in.each
	in.each = func(p []byte) {
		hold(p)
		pieces <- k.pieces[len(k.pieces)-1]
	}
	c.write(2, total, func() int { return 2000 })
	token := a.d.b.Token(a.h)
	token.Share(a.h)
	var written atomic.Int64 // changed by who has the token
	var all sync.WaitGroup
	var stop atomic.Bool
	for range guests {
		all.Go(func() {
			for n := 0; !stop.Load() && written.Load() < total; n++ {
				select {
				case p := <-pieces:
					p.release()
				default:
				}
				if !token.Enter(a.h) {
					runtime.Gosched()
					continue
				}
				at := written.Load()
				took, err := a.d.b.TryWrite(a.h, [][]byte{made(1, at, int(min(700, total-at)))})
				written.Store(at + int64(took))
				token.Leave(a.h)
				if err != nil {
					w.report("TryWrite: %v", err)
					return
				}
				if n%16 == 0 || took == 0 {
					a.d.b.Wake()
					runtime.Gosched()
				}
			}
		})
	}
	defer all.Wait()
	defer stop.Store(true)
	w.alongside("what 64 goroutines write arrives in one piece", func() bool {
		if written.Load() >= total { // nobody is left to release: do it here
			for len(pieces) > 0 {
				(<-pieces).release()
			}
		}
		return r.got == total && in.got == total
	})
	for len(pieces) > 0 {
		(<-pieces).release()
	}
}

func s7aCloseWaitsForAGuest(w *world) {
	for range 20 {
		a, b := w.connect()
		t := a.d.b.Token(a.h)
		t.Share(a.h)
		inside, over := make(chan struct{}), make(chan struct{})
		var left atomic.Bool
		go func() {
			defer close(over)
			if !t.Enter(a.h) {
				w.report("cannot enter a shared token")
				close(inside)
				return
			}
			close(inside)
			for range 50 {
				runtime.Gosched()
			}
			a.tryAll(1, 0, 8)
			left.Store(true)
			t.Leave(a.h)
		}()
		<-inside
		a.close()
		if !left.Load() {
			w.Fatal("CloseFD returned while a guest was inside the token")
		}
		<-over
		b.read(1).wantEnd(8)
		b.close()
	}
}
