package proactor

import (
	"slices"
	"testing"
	"unsafe"
)

// The size of an Op is pinned so that a change of it is noticed: each stream
// connection holds two.
func TestOpSize(t *testing.T) {
	if got, want := unsafe.Sizeof(Op{}), uintptr(192); got != want {
		t.Errorf("Op is %d bytes, was %d", got, want)
	}
}

type sink struct{ got []int }

func (s *sink) Complete(op *Op) { s.got = append(s.got, op.N) }
func (s *sink) Evict(h *Hold)   { h.Release() }
func slots(q *Queue) (out []uint32) {
	for n := q.Len(); n > 0; n-- {
		op := q.Pop()
		out = append(out, op.B.Slot)
		q.Push(op)
	}
	return out
}

func TestQueueKeepsOrderThroughRemovals(t *testing.T) {
	var q Queue
	ops := make([]Op, 5)
	for i := range ops {
		ops[i].B.Slot = uint32(i)
		q.Push(&ops[i])
	}
	for _, i := range []int{2, 0, 4} {
		if !q.Remove(&ops[i]) || q.Remove(&ops[i]) {
			t.Fatalf("Remove of op %d", i)
		}
	}
	if got := slots(&q); len(got) != 2 || got[0] != 1 || got[1] != 3 {
		t.Fatalf("left %v, want [1 3]", got)
	}
	q.Push(&ops[4])
	if q.Pop() != &ops[1] || q.Pop() != &ops[3] || q.Pop() != &ops[4] || q.Pop() != nil || q.Len() != 0 {
		t.Fatal("Pop is not first in, first out")
	}
}

func TestOpLife(t *testing.T) {
	s := &sink{}
	op := Op{Kind: OpRecv, Owner: s}
	op.Begin()
	op.Deliver(3, nil, true)
	if !op.Active() {
		t.Fatal("idle after a completion with More")
	}
	op.Deliver(4, nil, false)
	if op.Active() || len(s.got) != 2 {
		t.Fatalf("active=%v got=%v", op.Active(), s.got)
	}
	op.Begin()
	defer func() {
		if recover() == nil {
			t.Fatal("second Submit of an active op went unnoticed")
		}
	}()
	op.Begin()
}

// An accept that ends with an error does not bring its latest connection once
// more: a listener that had stopped would reset it.
func TestAnErrorBringsNoConnection(t *testing.T) {
	op := Op{Kind: OpAccept, Owner: &sink{}}
	op.Begin()
	op.New = MakeHandle(7, 1)
	op.Deliver(0, nil, true)
	if op.Deliver(0, ErrCanceled, false); op.New != 0 {
		t.Errorf("%v beside %v", op.New, op.Err)
	}
}

func TestTokenStates(t *testing.T) {
	var tok Token
	h, next := MakeHandle(7, 1), MakeHandle(7, 2)
	tok.Open(h)
	if tok.Enter(h) {
		t.Fatal("entered while the loop keeps it")
	}
	if !tok.Share(h) || !tok.Enter(h) || tok.Enter(h) || tok.Keep(h) || !tok.Entered(h) {
		t.Fatal("share, enter")
	}
	done := make(chan struct{})
	go func() { tok.End(h); close(done) }()
	select {
	case <-done:
		t.Fatal("End did not wait for the guest")
	default:
	}
	tok.Leave(h)
	<-done
	tok.Open(next)
	if tok.Enter(h) || tok.Keep(h) || tok.Share(h) {
		t.Fatal("a stale handle got the token")
	}
	tok.End(h) // stale: nothing happens
	if !tok.Keep(next) {
		t.Fatal("the new generation lost its token")
	}
}

func TestHoldsEvictOldestOnce(t *testing.T) {
	var s Holds
	woken := 0
	s.Init(func() { woken++ })
	var asked []uint32
	keep := evictFunc(func(h *Hold) { asked = append(asked, h.Buffer) })
	a, b := s.New([]byte("a"), 1, keep), s.New([]byte("b"), 2, keep)
	for s.Evict() {
	}
	if len(asked) != 2 || asked[0] != 1 || asked[1] != 2 {
		t.Fatalf("asked %v, want [1 2]", asked)
	}
	b.Release()
	s.Want(true)
	a.Release()
	if woken != 1 {
		t.Fatalf("woken %d times, want 1", woken)
	}
	var back []uint32
	s.Collect(func(h *Hold) { back = append(back, h.Buffer) })
	if len(back) != 2 || s.Len() != 0 {
		t.Fatalf("back %v, %d live", back, s.Len())
	}
	if allocs := testing.AllocsPerRun(100, func() {
		s.New(nil, 3, keep).Release()
		s.New(nil, 4, keep).Drop()
		s.Collect(func(*Hold) {})
	}); allocs != 0 {
		t.Errorf("%v allocations per two holds, want 0", allocs)
	}
}

// A hold that the loop's goroutine has dropped is asked for no more, comes
// back with the others, and is dropped or released once.
func TestDroppedHolds(t *testing.T) {
	var s Holds
	s.Init(func() { t.Error("woken") })
	s.Want(true)
	asked := 0
	keep := evictFunc(func(*Hold) { asked++ })
	a, b, c := s.New([]byte("a"), 1, keep), s.New([]byte("b"), 2, keep), s.New([]byte("c"), 3, keep)
	a.Drop()
	if s.Oldest() != b || s.Len() != 3 {
		t.Errorf("the oldest is %v, of %d", s.Oldest(), s.Len())
	}
	b.Drop()
	s.Want(false)
	c.Release()
	for name, again := range map[string]func(){"Drop, Drop": a.Drop, "Drop, Release": b.Release, "Release, Drop": c.Drop} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of one hold went unnoticed", name)
				}
			}()
			again()
		}()
	}
	if s.Evict() || asked != 0 {
		t.Error("a hold that is on its way back was asked for")
	}
	var back []uint32
	s.Collect(func(h *Hold) { back = append(back, h.Buffer) })
	slices.Sort(back)
	if !slices.Equal(back, []uint32{1, 2, 3}) || s.Len() != 0 {
		t.Errorf("back %v, %d live", back, s.Len())
	}
	if h := s.New(nil, 4, keep); s.Oldest() != h {
		t.Error("a hold that is used again counts as dropped")
	}
}

type evictFunc func(*Hold)

func (f evictFunc) Evict(h *Hold) { f(h) }
