package ready

import (
	"testing"

	"mobius/proactor"
)

type evictFunc func(*proactor.Hold)

func (f evictFunc) Evict(h *proactor.Hold) { f(h) }

type nobody struct{}

func (nobody) Complete(*proactor.Op) {}

// newLender returns one with two large buffers of 6400 bytes and two small
// ones of 800, in which pieces of up to 100 bytes go.
func newLender(holds int) *lender {
	l := &lender{}
	l.init(Options{ReadBuffer: 6400, Buffers: 2, Holds: holds}, func() {})
	return l
}

// give lends n bytes, and holds them if there is an owner.
func (l *lender) give(t *testing.T, n int, owner proactor.Evictor) *proactor.Hold {
	t.Helper()
	room := l.room()
	if len(room) < n {
		return nil
	}
	for i := range room[:n] {
		room[i] = byte(n)
	}
	op := &proactor.Op{Owner: nobody{}}
	l.lend(op, room, n, false)
	defer l.end()
	if owner == nil {
		return nil
	}
	h := l.hold(op, owner)
	if &h.Bytes[0] != &op.Buf[0] || len(h.Bytes) != n {
		t.Fatalf("hold of %d bytes instead of %d, or of others", len(h.Bytes), n)
	}
	return h
}

func TestSmallHoldsPinNoLargeBuffer(t *testing.T) {
	l := newLender(100)
	var holds []*proactor.Hold
	for range 10 {
		holds = append(holds, l.give(t, 20, evictFunc(func(*proactor.Hold) {})))
	}
	if l.large.pinned != 0 || l.small.pinned != 1 {
		t.Errorf("10 holds of 20 bytes pin %d large and %d small buffers", l.large.pinned, l.small.pinned)
	}
	for _, h := range holds {
		for _, c := range h.Bytes {
			if c != 20 {
				t.Fatal("held bytes changed")
			}
		}
		h.Release()
	}
	l.collect()
	if l.pinned() != 0 || l.holds.Len() != 0 {
		t.Errorf("%d pinned, %d held at the end", l.pinned(), l.holds.Len())
	}
}

func TestUnheldBytesUseNoRoom(t *testing.T) {
	l := newLender(100)
	for range 100 {
		if room := l.room(); len(room) != 6400 {
			t.Fatalf("room is %d bytes", len(room))
		}
		l.give(t, 3000, nil)
	}
	if len(l.large.buffers) != 1 {
		t.Errorf("%d buffers were made", len(l.large.buffers))
	}
}

func TestRoomEndsWhenEverythingIsHeld(t *testing.T) {
	l := newLender(100)
	var holds []*proactor.Hold
	for l.room() != nil {
		h := l.give(t, len(l.room()), evictFunc(func(h *proactor.Hold) { h.Release() }))
		holds = append(holds, h)
	}
	if len(holds) != 2 || l.large.pinned != 2 || !l.over() {
		t.Fatalf("%d pieces held, %d buffers pinned", len(holds), l.large.pinned)
	}
	if !l.relieve() || l.room() == nil {
		t.Error("eviction of what is released at once brings no room")
	}
	if l.evicted != 1 {
		t.Errorf("%d asked, one was enough", l.evicted)
	}
}

func TestHoldsBeyondTheCapAreAskedBackOldestFirst(t *testing.T) {
	l := newLender(3)
	var asked []*proactor.Hold
	var all []*proactor.Hold
	for range 5 {
		all = append(all, l.give(t, 10, evictFunc(func(h *proactor.Hold) { asked = append(asked, h) })))
	}
	if !l.over() || !l.relieve() || len(asked) != 2 || asked[0] != all[0] || asked[1] != all[1] {
		t.Errorf("asked %d of 5 with a cap of 3", len(asked))
	}
}

// A turn that holds many buffers and gives them back, again and again, asks for
// their memory once; when fewer are needed it is given back in the end.
func TestFreeBuffersKeepTheirMemory(t *testing.T) {
	a := newArena(6400, 64, 0)
	held := make([]uint32, 0, 64)
	turn := func(buffers int) {
		held = held[:0]
		for range buffers {
			a.room(6400)
			held = append(held, a.hold(6400))
		}
		for _, i := range held {
			a.release(i)
		}
	}
	turn(40)
	if n := testing.AllocsPerRun(100, func() { turn(40) }); n != 0 {
		t.Errorf("%v allocations a turn of 40 buffers: their memory was given back", n)
	}
	for range 40 * thrift {
		turn(2)
	}
	with := 0
	for _, b := range a.buffers {
		if b.mem != nil {
			with++
		}
	}
	if with > 2*keptFree || len(a.free)+len(a.bare)+1 != len(a.buffers) || len(a.buffers) != 40 {
		t.Errorf("%d of %d buffers have memory, %d free, %d bare", with, len(a.buffers), len(a.free), len(a.bare))
	}
	turn(64)
	if a.pinned != 0 || len(a.buffers) != 64 {
		t.Errorf("%d pinned of %d", a.pinned, len(a.buffers))
	}
}
