package sim

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mobius/proactor"
)

// With Foreign, a Poll that nothing is due for waits for a Wake of another
// goroutine; none is lost.
func TestForeignWake(t *testing.T) {
	w := on(t, Options{Faults: NoFaults, Foreign: true}, 1)
	b := w.hosts[0]
	const rounds = 2000
	var posted atomic.Int64
	seen := make(chan int64)
	go func() {
		for i := int64(1); i <= rounds; i++ {
			posted.Store(i)
			b.Wake()
			for range i % 50 {
				runtime.Gosched()
			}
			<-seen
		}
	}()
	for i := int64(1); i <= rounds; i++ {
		for posted.Load() < i {
			if err := b.Poll(-1); err != nil {
				t.Fatal(err)
			}
		}
		seen <- i
	}
}

// Loops on goroutines of their own share one clock: while one of them works,
// time stands still for the other.
func TestForeignLoops(t *testing.T) {
	w := on(t, Options{Faults: NoFaults, Foreign: true}, 2)
	a, b := w.hosts[0], w.hosts[1]
	h, at := must2(b.Listen(loopback, nil))
	const exchanges = 200
	var all sync.WaitGroup
	var over atomic.Bool
	all.Go(func() { // the server: answers each byte after some work
		in := accept(b, h)
		for len(in.conns) == 0 {
			if err := b.Poll(-1); err != nil {
				t.Error(err)
				return
			}
		}
		r := recv(b, in.conns[0])
		for answered := 0; answered < exchanges && r.Active(); {
			if err := b.Poll(-1); err != nil {
				t.Error(err)
				return
			}
			for ; answered < len(r.bytes); answered++ {
				for range 100 {
					runtime.Gosched()
				}
				send(b, in.conns[0], "!")
			}
		}
		for !over.Load() {
			if err := b.Poll(-1); err != nil {
				t.Error(err)
				return
			}
		}
		b.Close()
	})
	p := dial(a, at)
	r := (*probe)(nil)
	for sent := 0; ; {
		if err := a.Poll(time.Hour); err != nil {
			t.Fatal(err)
		}
		switch {
		case !p.done():
		case r == nil:
			r = recv(a, p.Handle)
			send(a, p.Handle, "?")
			sent = 1
		case len(r.bytes) == sent && sent < exchanges:
			send(a, p.Handle, "?")
			sent++
		}
		if r != nil && len(r.bytes) == exchanges {
			break
		}
	}
	if now := a.Now(); now > time.Minute {
		t.Errorf("%d exchanges took %v of virtual time: an hour's timeout has passed meanwhile", exchanges, now)
	}
	over.Store(true)
	b.Wake()
	a.Close()
	all.Wait()
}

// Guests write under the token while the loop runs.
func TestForeignWriters(t *testing.T) {
	w := on(t, Options{Faults: NoFaults.Set(0.5, ShortSend), Foreign: true}, 1)
	b := w.hosts[0]
	x, y := w.stream(loopback, nil)
	token := b.Token(x)
	token.Share(x)
	const guests, each = 8, 100
	var all sync.WaitGroup
	var left atomic.Int64
	left.Store(guests * each)
	for g := range guests {
		all.Go(func() {
			for done := 0; done < each; {
				if !token.Enter(x) {
					runtime.Gosched()
					continue
				}
				n, err := b.TryWrite(x, [][]byte{{byte(g)}})
				token.Leave(x)
				if err != nil {
					t.Error(err)
					return
				}
				done += n
			}
		})
	}
	in := recv(b, y)
	for len(in.bytes) < guests*each {
		if err := b.Poll(-1); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	var count [guests]int
	for _, c := range in.bytes {
		count[c]++
	}
	for g, n := range count {
		if n != each {
			t.Errorf("guest %d: %d bytes of %d", g, n, each)
		}
	}
}

// A hold that another goroutine releases serves those who starve.
func TestForeignRelease(t *testing.T) {
	w := on(t, Options{Faults: NoFaults, Foreign: true, Buffers: 1}, 1)
	b := w.hosts[0]
	x, y := w.stream(loopback, nil)
	k := keep(b, y, false)
	holds := make(chan *proactor.Hold)
	go func() {
		for h := range holds {
			runtime.Gosched()
			h.Release()
		}
	}()
	for i := range 200 {
		send(b, x, "x")
		for len(k.holds) == i {
			if err := b.Poll(-1); err != nil {
				t.Fatal(err)
			}
		}
		holds <- k.holds[i]
	}
	close(holds)
}
