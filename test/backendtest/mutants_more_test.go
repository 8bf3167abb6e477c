package backendtest_test

import (
	"io"
	"slices"
	"time"

	"mobius/proactor"
)

// holdMutants break what is promised of lent and held bytes. They stand on a
// backend with two buffers of 100 bytes.
var holdMutants = []mutant{
	{"3", "takes lent bytes back before Complete returns", "S3_LentUntilCompleteReturns", func(b *broken) {
		var lent []byte
		b.complete = on(proactor.OpRecv, func(op *proactor.Op, pass func()) {
			lent = append([]byte(nil), op.Buf...)
			op.Buf = lent
			pass()
		})
		b.try = func(h proactor.Handle, bufs [][]byte) (int, error) {
			clear(lent) // the next receive into the same buffer
			return b.Backend.TryWrite(h, bufs)
		}
	}},
	{"3", "holds only a part", "S3_HoldsKeepTheBytes", func(b *broken) {
		b.hold = func(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
			h := b.Backend.Hold(op, owner)
			h.Bytes = h.Bytes[:len(h.Bytes)/2]
			return h
		}
	}},
	{"3a", "reuses held memory (early buffer return)", "S3a_HeldBytesStayUnchanged", func(b *broken) {
		scratch := make([]byte, 1<<20)
		b.complete = on(proactor.OpRecv, func(op *proactor.Op, pass func()) {
			op.Buf = scratch[:copy(scratch, op.Buf)]
			pass()
		})
		b.hold = func(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
			h := b.Backend.Hold(op, owner)
			h.Bytes = op.Buf
			return h
		}
	}},
	{"3b", "never asks for a hold back", "S3b_PeersThatNeverReadDoNotStopOthers", func(b *broken) {
		b.hold = func(op *proactor.Op, _ proactor.Evictor) *proactor.Hold {
			return b.Backend.Hold(op, evictFunc(func(*proactor.Hold) {}))
		}
	}},
	{"3b", "asks for each hold twice", "S3b_EachHoldIsAskedOnceOldestFirst", func(b *broken) {
		b.hold = func(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
			return b.Backend.Hold(op, evictFunc(func(h *proactor.Hold) { owner.Evict(h); owner.Evict(h) }))
		}
	}},
	{"3b", "asks for the youngest hold first", "S3b_EachHoldIsAskedOnceOldestFirst", func(b *broken) {
		type one struct {
			h     *proactor.Hold
			owner proactor.Evictor
		}
		var live []*one
		b.hold = func(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
			x := &one{owner: owner}
			x.h = b.Backend.Hold(op, evictFunc(func(*proactor.Hold) {
				young := live[len(live)-1]
				live = live[:len(live)-1]
				young.owner.Evict(young.h)
			}))
			live = append(live, x)
			return x.h
		}
	}},
	{"3c", "does not take released buffers back", "S3c_ServedAgainWithoutATimer", func(b *broken) {
		var mine proactor.Holds
		mine.Init(func() {})
		b.hold = func(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
			b.Backend.Hold(op, evictFunc(func(*proactor.Hold) {}))
			return mine.New(op.Buf, 0, owner)
		}
	}},
	{"3c", "serves the latest first", "S3c_StarvedAreServedInOrder", func(b *broken) { lender(b, false) }},
}

// lender lends two pieces at a time, of a backend that has plenty: further
// ones wait. In order it is sound, but for who is asked back.
func lender(b *broken, inOrder bool) {
	type parked struct {
		op    *proactor.Op
		pass  func()
		bytes []byte
		err   error
		more  bool
	}
	var mine proactor.Holds
	mine.Init(func() { b.Backend.Wake() })
	var queue []parked
	var starved uint64
	waiting := func(op *proactor.Op) bool {
		return slices.ContainsFunc(queue, func(p parked) bool { return p.op == op })
	}
	b.complete = on(proactor.OpRecv, func(op *proactor.Op, pass func()) {
		op.Buf = append([]byte(nil), op.Buf[:op.N]...)
		if len(op.Buf) == 0 || mine.Len() < 2 && !waiting(op) {
			pass()
			return
		}
		queue = append(queue, parked{op, pass, op.Buf, op.Err, op.More})
		starved++
	})
	b.stats = func() proactor.Stats {
		s := b.Backend.Stats()
		s.Starved += starved
		return s
	}
	b.hold = func(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
		mine.Want(true)
		return mine.New(op.Buf, 0, owner)
	}
	b.poll = func(timeout time.Duration) error {
		mine.Collect(func(*proactor.Hold) {})
		if mine.Len() >= 2 || len(queue) == 0 {
			return b.Backend.Poll(timeout)
		}
		at := 0
		if !inOrder {
			at = len(queue) - 1
		}
		p := queue[at]
		queue = slices.Delete(queue, at, at+1)
		p.op.Buf, p.op.N, p.op.Err, p.op.More = p.bytes, len(p.bytes), p.err, p.more
		p.pass()
		return nil
	}
}

// handleMutants break what is promised of handles, of Poll and of Wake.
var handleMutants = []mutant{
	{"6", "closes a handle with a recv armed", "S6_BusyWhileAnOpIsActive", func(b *broken) {
		b.closeFD = func(h proactor.Handle) error {
			if err := b.Backend.CloseFD(h); err != proactor.ErrBusy {
				return err
			}
			return nil
		}
	}},
	{"6", "does not look at generations", "S6_ANumberUsedAgainIsAnotherHandle", func(b *broken) {
		latest := map[uint32]proactor.Handle{}
		b.complete = on(proactor.OpAccept, func(op *proactor.Op, pass func()) {
			latest[op.New.Index()] = op.New
			pass()
		})
		now := func(h proactor.Handle) proactor.Handle {
			if at, ok := latest[h.Index()]; ok {
				return at
			}
			return h
		}
		b.try = func(h proactor.Handle, bufs [][]byte) (int, error) { return b.Backend.TryWrite(now(h), bufs) }
		b.shutdown = func(h proactor.Handle) error { return b.Backend.Shutdown(now(h)) }
	}},
	{"6", "hands out stale handles silently", "S6_StaleHandlesAnswerErrClosed", func(b *broken) {
		b.complete = func(op *proactor.Op, pass func()) {
			if op.Err == proactor.ErrClosed {
				op.Err = io.EOF
			}
			pass()
		}
	}},
	{"6", "does not end the stream at CloseFD", "S6_CloseEndsTheStreamForThePeer", func(b *broken) {
		b.closeFD = func(h proactor.Handle) error {
			_, err := b.Backend.Detach(h)
			return err
		}
	}},
	{"6", "does not free the port", "S6_PortIsFreeAtOnce", func(b *broken) {
		b.closeFD = func(h proactor.Handle) error {
			if _, peer, err := b.Backend.Names(h); err == nil && !peer.IsValid() {
				_, err = b.Backend.Detach(h)
				return err
			}
			return b.Backend.CloseFD(h)
		}
	}},
	{"7", "waits after having completed something", "S7_NeverWaitsAfterCompleting", func(b *broken) {
		b.poll = func(timeout time.Duration) error {
			end := b.Now() + timeout
			err := b.Backend.Poll(timeout)
			if err == nil && b.Now() < end {
				err = b.Backend.Poll(end - b.Now())
			}
			return err
		}
	}},
	{"7", "does not wait", "S7_WaitsOnceForALongTimeout", func(b *broken) {
		b.poll = func(time.Duration) error { return b.Backend.Poll(0) }
	}},
	{"7", "does not return at the timeout", "S7_WaitsForTheTimeout", func(b *broken) {
		b.poll = func(timeout time.Duration) error { return b.Backend.Poll(max(timeout*100, time.Hour)) }
	}},
	{"7", "takes a very long timeout for a short one", "S7_WaitsOnceForALongTimeout", func(b *broken) {
		b.poll = func(timeout time.Duration) error {
			return b.Backend.Poll(time.Duration(int32(timeout.Milliseconds())) * time.Millisecond) // 25 days overflow
		}
	}},
	{"7a", "says that TryWrite took everything", "S7a_TryWriteTakesWhatFits", func(b *broken) {
		b.try = func(h proactor.Handle, bufs [][]byte) (int, error) {
			total := 0
			for _, p := range bufs {
				total += len(p)
			}
			_, err := b.Backend.TryWrite(h, bufs)
			return total, err
		}
	}},
	{"7a", "says that TryWrite took less than it did", "S7a_ManyGoroutines", func(b *broken) {
		b.try = func(h proactor.Handle, bufs [][]byte) (int, error) {
			n, err := b.Backend.TryWrite(h, bufs)
			return n / 2, err
		}
	}},
	{"7a", "shares every token from the start", "S7a_TokenIsTheLoopsUntilShared", func(b *broken) {
		b.token = func(h proactor.Handle) *proactor.Token {
			t := b.Backend.Token(h)
			if t != nil {
				t.Share(h)
			}
			return t
		}
	}},
	{"7a", "keeps a token open after CloseFD", "S7a_TokenIsTheLoopsUntilShared", func(b *broken) {
		last := map[proactor.Handle]*proactor.Token{}
		b.token = func(h proactor.Handle) *proactor.Token {
			if t := b.Backend.Token(h); t != nil {
				last[h] = t
			}
			return last[h]
		}
	}},
	{"7b", "loses a Wake that comes before Poll", "S7b_WakeBeforePollIsKept", func(b *broken) {
		b.wake = func() {}
	}},
	{"7b", "loses a Wake that comes in a completion", "S7b_WakeFromWithinComplete", func(b *broken) {
		inside := false
		b.poll = func(timeout time.Duration) error {
			inside = true
			defer func() { inside = false }()
			return b.Backend.Poll(timeout)
		}
		b.wake = func() {
			if !inside {
				b.Backend.Wake()
			}
		}
	}},
	{"7b", "wakes for ever", "S7b_WakeBeforePollIsKept", func(b *broken) {
		b.wake = func() {
			b.Backend.Wake()
			b.poll = func(time.Duration) error { return b.Backend.Poll(0) }
		}
	}},
	{"7c", "lets any thread poll", "S7c_PollFromAnotherThread", func(b *broken) {
		b.poll = func(timeout time.Duration) error {
			if err := b.Backend.Poll(timeout); err != proactor.ErrWrongThread {
				return err
			}
			return nil
		}
	}},
	{"7c", "drops what was submitted before the first Poll", "S7c_SubmitBeforeTheFirstPoll", func(b *broken) {
		var before []*proactor.Op
		polled := false
		b.complete = func(op *proactor.Op, pass func()) {
			if !slices.Contains(before, op) {
				pass()
			}
		}
		b.submit = func(op *proactor.Op) {
			if !polled {
				before = append(before, op)
			}
		}
		b.poll = func(timeout time.Duration) error {
			polled = true
			return b.Backend.Poll(timeout)
		}
	}},
}
