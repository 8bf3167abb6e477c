package transport

import (
	"bytes"
	"testing"
	"time"

	"mobius/internal/invariant"
	"mobius/proactor"
	"mobius/sim"
)

// What was received just now and is written again is sent from where it lies,
// as one piece though written in several.
func TestWriteOfReceivedBytesDoesNotCopy(t *testing.T) {
	const size = 30_000
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onData = func(r *rec) {
			p := r.last
			for len(p) > 0 {
				n := min(len(p), HoldFrom)
				_, _ = r.c.Write(p[:n])
				p = p[n:]
			}
			q := &r.c.out
			if q.head != q.tail || q.head.kind != held || &q.head.bytes[0] != &r.last[0] || q.n != len(r.last) {
				t.Errorf("%d bytes were not queued as one held piece", len(r.last))
			}
		}
		w.pair(s, c, nil)
		_, _ = c.c.Write(pattern(0, size))
		w.until("back", func() bool { return c.got.Len() == size })
		if !bytes.Equal(c.got.Bytes(), pattern(0, size)) {
			t.Error("other bytes came back")
		}
		w.turns(3)
		if n := w.l.Backend().Stats().Holds; n != 0 {
			t.Errorf("%d holds are left", n)
		}
	})
}

// Every other thing that a protocol may write in DataReceived is copied.
func TestWritesThatAreNotOfReceivedBytes(t *testing.T) {
	const size = 10_000
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		var want []byte
		s.onData = func(r *rec) {
			p := r.last
			put := func(b []byte) { want = append(want, b...); _, _ = r.c.Write(b) }
			put(p)                        // held
			put(p)                        // again: copied
			put(p[:1])                    // small
			put(p[len(p)/2:])             // a part that does not follow
			put(bytes.Clone(p))           // other memory
			put(p[1:2:2])                 // a capacity of its own
			put(append(p, "appended"...)) // must not write beyond what was lent
			put(p[len(p):])
		}
		w.pair(s, c, nil)
		_, _ = c.c.Write(pattern(0, size))
		w.until("received", func() bool { return s.got.Len() == size })
		s.c.LoseConnection()
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		if !bytes.Equal(c.got.Bytes(), want) {
			t.Errorf("%d bytes came back, want %d, or others", c.got.Len(), len(want))
		}
	})
}

// A proxy in DataReceived: the hold is the other connection's.
func TestWriteToAnotherConnectionHolds(t *testing.T) {
	const size = 200_000
	w := newWorld(t, sim.Options{Seed: 1, Faults: sim.NoFaults, Buffers: 16, BufferSize: 8192, Holds: 2})
	in, client := w.rec("in"), w.rec("client")
	out, server := w.rec("out"), w.rec("server")
	w.pair(out, server, nil)
	in.onData = func(r *rec) {
		_, _ = out.c.Write(r.last)
		if out.c.out.tail.kind != held && len(r.last) >= HoldFrom && out.c.out.n <= DefaultHighWater {
			t.Error("copied")
		}
	}
	w.pair(in, client, nil)
	server.c.PauseReading()
	_, _ = client.c.Write(pattern(0, size))
	w.pass(time.Second) // the holds are more than two now: some were asked back
	server.c.ResumeReading()
	w.until("through", func() bool { return server.got.Len() == size })
	if !bytes.Equal(server.got.Bytes(), pattern(0, size)) {
		t.Error("other bytes came through")
	}
	if w.l.Backend().Stats().Evicted == 0 {
		t.Error("nothing was evicted")
	}
}

// Bytes kept during a pause are held, asked back, copied, delivered, and
// written from where they were kept.
func TestKeptBytes(t *testing.T) {
	const size = 60_000
	for _, holds := range []int{1, 100} {
		w := newWorld(t, sim.Options{Seed: 1, Faults: sim.NoFaults, Buffers: 200, BufferSize: 10_000, Holds: holds})
		var recs []*rec
		for range 5 {
			s, c := w.rec("server"), w.rec("client")
			s.onMade = func(r *rec) { r.c.PauseReading() }
			s.onData = func(r *rec) { _, _ = r.c.Write(r.last) }
			w.pair(s, c, nil)
			recs = append(recs, s, c)
			_, _ = c.c.Write(pattern(0, size))
		}
		w.pass(time.Second)
		kept := 0
		for i := 0; i < len(recs); i += 2 {
			kept += recs[i].c.in.n
		}
		if kept == 0 {
			t.Error("nothing was kept")
		}
		if n := w.l.Backend().Stats().Holds; holds == 1 && n > 1 {
			t.Errorf("%d holds", n)
		}
		for i := 0; i < len(recs); i += 2 {
			recs[i].c.ResumeReading()
		}
		for i := 1; i < len(recs); i += 2 {
			w.until("back", func() bool { return recs[i].got.Len() == size })
			if !bytes.Equal(recs[i].got.Bytes(), pattern(0, size)) {
				t.Error("other bytes came back")
			}
		}
		if evicted := w.l.Backend().Stats().Evicted; (evicted > 0) != (holds == 1) {
			t.Errorf("%d evicted with a cap of %d", evicted, holds)
		}
	}
}

// A held piece that is being sent is asked back: the send is cancelled, the
// rest copied and sent, and nothing is lost or doubled.
func TestEvictionOfASendUnderWay(t *testing.T) {
	const size = 50_000
	w := newWorld(t, sim.Options{Seed: 1, Faults: sim.NoFaults, Buffers: 2, Holds: 1, StreamBuffer: 4096})
	type end struct {
		s, c *rec
		want []byte
	}
	var ends []*end
	for range 6 {
		e := &end{s: w.rec("server"), c: w.rec("client")}
		e.s.onData = func(r *rec) {
			_, _ = r.c.Write(r.last)
			_, _ = r.c.Write([]byte("|"))
			e.want = append(append(e.want, r.last...), '|')
		}
		w.pair(e.s, e.c, nil)
		e.c.c.PauseReading()
		_, _ = e.c.c.Write(pattern(0, size))
		ends = append(ends, e)
	}
	asked := 0
	for range 200 {
		w.turns(1)
		for _, e := range ends {
			if e.s.c.flags.has(evicting) {
				asked++
			}
		}
	}
	for _, e := range ends {
		e.c.c.ResumeReading()
	}
	for _, e := range ends {
		w.until("back", func() bool { return e.s.got.Len() == size && e.c.got.Len() == len(e.want) })
		if !bytes.Equal(e.c.got.Bytes(), e.want) {
			t.Error("other bytes came back")
		}
	}
	if asked == 0 {
		t.Error("no send that was under way was asked for its hold")
	}
}

// A slice that was kept too long is no lent one any more: it is copied.
func TestWriteOfBytesKeptTooLong(t *testing.T) {
	w := newWorld(t, quiet(1))
	s, c := w.rec("server"), w.rec("client")
	w.pair(s, c, nil)
	_, _ = c.c.Write(pattern(0, 10_000))
	s.onData = func(*rec) {}
	w.until("there", func() bool { return s.got.Len() == 10_000 })
	_, _ = s.c.Write(s.last)
	if s.c.out.head == nil || s.c.out.head.kind != own {
		t.Error("a stale slice was held")
	}
}

// Pausing, keeping and resuming allocates nothing either.
func TestPauseAllocatesNothing(t *testing.T) {
	if invariant.Enabled {
		t.Skip("the checks that are compiled in allocate")
	}
	for _, size := range []int{64, 20_000} {
		w := newWorld(t, quiet(1))
		s, c := w.rec("server"), w.rec("client")
		s.deaf = true
		got := 0
		s.onData = func(r *rec) { got += len(r.last) }
		w.pair(s, c, nil)
		p := pattern(0, size)
		round := func() {
			got = 0
			s.c.PauseReading()
			_, _ = c.c.Write(p)
			for s.c.in.n < size {
				if err := w.l.Iterate(time.Minute); err != nil {
					t.Fatal(err)
				}
			}
			s.c.ResumeReading()
			for got < size {
				if err := w.l.Iterate(time.Minute); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 100 {
			round()
		}
		if n := testing.AllocsPerRun(200, round); n != 0 {
			t.Errorf("%d bytes: %v allocations per pause", size, n)
		}
	}
}

// A backend may want a hold back at any moment, even inside Hold: then the
// bytes are copied, and the hold is not left behind.
func TestEvictionAtAwkwardMoments(t *testing.T) {
	const size = 20_000
	for name, play := range map[string]func(r *rec){
		"inside Hold": func(r *rec) {
			_, _ = r.c.Write(r.last)
		},
		"before the Write of kept bytes": func(r *rec) {
			if h := r.c.pool.lent.hold; h != nil {
				(*events)(r.c).Evict(h)
			}
			_, _ = r.c.Write(r.last)
		},
		"between two Writes": func(r *rec) {
			half := len(r.last) / 2
			_, _ = r.c.Write(r.last[:half])
			if s := r.c.out.tail; s.hold != nil {
				(*events)(r.c).Evict(s.hold)
			}
			_, _ = r.c.Write(r.last[half:])
		},
	} {
		for _, kept := range []bool{false, true} {
			w, f := newFaultyWorld(t)
			f.hasty = name == "inside Hold"
			s, c := w.rec("server "+name), w.rec("client")
			s.onData = func(r *rec) {
				play(r)
				if !kept && name == "before the Write of kept bytes" {
					return
				}
				for p := r.c.out.head; p != nil; p = p.next {
					if p.kind != own {
						t.Errorf("%s, kept %v: a piece is not copied", name, kept)
					}
				}
			}
			w.pair(s, c, nil)
			if kept {
				s.c.PauseReading()
			}
			_, _ = c.c.Write(pattern(0, size))
			w.pass(time.Second)
			s.c.ResumeReading()
			w.until("back", func() bool { return c.got.Len() == size })
			if !bytes.Equal(c.got.Bytes(), pattern(0, size)) {
				t.Errorf("%s, kept %v: other bytes came back", name, kept)
			}
			w.turns(3)
			if n := f.Stats().Holds; n != 0 {
				t.Errorf("%s, kept %v: %d holds are left", name, kept, n)
			}
			w.close()
		}
	}
}

// A hold goes over to the connection that writes the bytes; behind a long queue,
// where it would last, they are copied.
func TestHoldsGoWhereTheyAreSentFrom(t *testing.T) {
	const size = 10_000
	for _, kept := range []bool{false, true} {
		w := newWorld(t, quiet(1))
		in, client := w.rec("in"), w.rec("client")
		out, server := w.rec("out"), w.rec("server")
		w.pair(out, server, &Options{HighWater: 5000})
		w.pair(in, client, nil)
		writes := 0
		in.onData = func(r *rec) {
			if writes++; writes > 2 || len(r.last) < HoldFrom {
				return
			}
			_, _ = out.c.Write(r.last)
			s := out.c.out.tail
			if writes == 1 && (s.kind != held || s.hold.Owner != proactor.Evictor((*events)(out.c))) {
				t.Errorf("kept %v: not held by the connection that sends", kept)
			}
			if writes == 2 && s.kind != own {
				t.Errorf("kept %v: held behind %d bytes", kept, out.c.Queued())
			}
		}
		if kept {
			in.c.PauseReading()
		}
		_, _ = client.c.Write(pattern(0, size))
		w.until("there", func() bool { return in.c.in.n == size || writes > 0 })
		server.c.PauseReading()
		in.c.ResumeReading()
		w.until("written", func() bool { return writes == 1 })
		_, _ = out.c.Write(make([]byte, 1<<20))
		w.turns(1)
		_, _ = client.c.Write(pattern(0, size))
		w.until("written twice", func() bool { return writes == 2 })
	}
}
