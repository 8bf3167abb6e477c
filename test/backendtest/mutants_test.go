package backendtest_test

import (
	"io"
	"syscall"
	"time"

	"mobius/proactor"
)

// A mutant is a backend that breaks one sentence, and the test that must see it.
type mutant struct {
	sentence string
	what     string
	test     string
	mutate   func(b *broken)
}

// opMutants break what is promised of ops and their completions.
var opMutants = []mutant{
	{"1", "completes a copy of the op", "S1_TheOpItselfComesBack", func(b *broken) {
		b.complete = func(op *proactor.Op, _ func()) {
			twin := *op
			b.owner.Complete(&twin)
		}
	}},
	{"2", "completes inside Submit", "S2_NotInsideSubmitCancelResume", func(b *broken) {
		b.complete = func(_ *proactor.Op, pass func()) { pass() }
		b.submit = func(op *proactor.Op) {
			if op.Handle == 0 { // fails at once, and says so at once
				op.B.State, op.Err = proactor.Idle, proactor.ErrClosed
				op.Owner.Complete(op)
			}
		}
	}},
	{"2", "completes on another goroutine", "S2_OneAtATimeOnTheLoopsGoroutine", func(b *broken) {
		b.complete = func(_ *proactor.Op, pass func()) {
			done := make(chan struct{})
			go func() { defer close(done); pass() }()
			<-done
		}
	}},
	{"2", "completes inside another completion", "S2_OneAtATimeOnTheLoopsGoroutine", func(b *broken) {
		var inner func()
		b.complete = on(proactor.OpSend, func(_ *proactor.Op, pass func()) { inner = pass })
		recv := on(proactor.OpRecv, func(op *proactor.Op, pass func()) { pass() })
		send := b.complete
		b.complete = func(op *proactor.Op, pass func()) {
			if op.Kind == proactor.OpSend {
				send(op, pass)
				return
			}
			recv(op, pass)
		}
		b.token = func(h proactor.Handle) *proactor.Token { // is called by a test inside Complete
			if f := inner; f != nil {
				inner = nil
				f()
			}
			return b.Backend.Token(h)
		}
	}},
	{"2a", "tells the last completion twice", "S2a_ExactlyOneLast", func(b *broken) {
		b.complete = func(op *proactor.Op, pass func()) {
			if pass(); !op.More && !op.Active() {
				pass()
			}
		}
	}},
	{"2a", "forgets the last completion", "S2a_ExactlyOneLast", func(b *broken) {
		b.complete = on(proactor.OpAccept, func(op *proactor.Op, pass func()) {
			if op.More {
				pass()
			}
		})
	}},
	{"2b", "stops accepting after some connections (missed re-arm)", "S2b_AcceptGoesOn", func(b *broken) {
		n := 0
		b.complete = on(proactor.OpAccept, func(op *proactor.Op, pass func()) {
			if n++; n <= 3 || !op.More {
				pass()
				return
			}
			b.Backend.CloseFD(op.New)
		})
	}},
	{"2b", "ends a multishot without its stream having ended", "S2b_RecvGoesOnToTheEnd", func(b *broken) {
		b.complete = on(proactor.OpRecv, func(op *proactor.Op, pass func()) {
			op.More = false
			pass()
		})
	}},
	{"2b", "lends more than Limit", "S2b_LimitIsKept", func(b *broken) {
		b.submit = func(op *proactor.Op) { op.Limit = 0 }
	}},
	{"2b", "drops the bytes that came with the end", "S2b_RecvGoesOnToTheEnd", func(b *broken) { dropWithEnd(b) }},
	{"2c", "says N 0 beside an error", "S2c_CanceledSendSaysWhatWasTaken", func(b *broken) {
		b.complete = on(proactor.OpSend, func(op *proactor.Op, pass func()) {
			if op.Err != nil {
				op.N = 0
			}
			pass()
		})
	}},
	{"2d", "forgets Resume during a Cancel", "S2d_ResumeDuringCancel", func(b *broken) {
		b.resume = func(op *proactor.Op) {
			if op.B.State != proactor.Stopping {
				b.Backend.Resume(op)
			}
		}
	}},
	{"2d", "resumes although a later Cancel says no", "S2d_TheLastWordCounts", func(b *broken) {
		resumed := false
		b.resume = func(op *proactor.Op) { resumed = true; b.Backend.Resume(op) }
		b.cancel = func(op *proactor.Op) {
			if !resumed {
				b.Backend.Cancel(op)
			}
		}
	}},
	{"2e", "is of no use after a panic", "S2e_PanicInCompletePassesThroughPoll", func(b *broken) {
		bad := false
		b.poll = func(timeout time.Duration) error {
			if bad {
				return errBroken
			}
			bad = true
			err := b.Backend.Poll(timeout)
			bad = false
			return err
		}
	}},
}

// dropWithEnd delays each piece by one, and drops the last.
func dropWithEnd(b *broken) {
	late := map[*proactor.Op][]byte{}
	b.complete = on(proactor.OpRecv, func(op *proactor.Op, pass func()) {
		if op.Err == io.EOF {
			pass()
			return
		}
		ready := late[op]
		late[op] = append([]byte(nil), op.Buf...)
		if ready != nil {
			op.Buf, op.N = ready, len(ready)
			pass()
		}
	})
}

// sendMutants break what is promised of bytes that are sent.
var sendMutants = []mutant{
	{"4", "shows EAGAIN", "S4_ManyStreamsReadyAtOnce", func(b *broken) {
		b.complete = on(proactor.OpSend, func(op *proactor.Op, pass func()) {
			op.Err = syscall.EAGAIN
			pass()
		})
	}},
	{"4", "returns EINTR from Poll", "S4_ManyStreamsReadyAtOnce", func(b *broken) {
		n := 0
		b.poll = func(timeout time.Duration) error {
			if n++; n == 50 {
				return syscall.EINTR
			}
			return b.Backend.Poll(timeout)
		}
	}},
	{"5", "drops the rest of a short send", "S5_ShortWritesAreTheBackends", func(b *broken) {
		whole := map[*proactor.Op]int{}
		b.submit = func(op *proactor.Op) {
			if op.Kind == proactor.OpSend && len(op.Buf) > 5000 {
				whole[op] = len(op.Buf)
				op.Buf = op.Buf[:5000]
			}
		}
		b.complete = on(proactor.OpSend, func(op *proactor.Op, pass func()) {
			if n := whole[op]; n > 0 {
				op.N, op.Buf = n, op.Buf[:n]
				delete(whole, op)
			}
			pass()
		})
	}},
	{"5", "has two sends in flight, which overtake each other", "S5_ShortWritesAreTheBackends", func(b *broken) {
		b.submit = func(op *proactor.Op) {
			if half := len(op.Buf) / 2; op.Kind == proactor.OpSend && half > 1000 {
				op.Buf = append(append([]byte(nil), op.Buf[half:]...), op.Buf[:half]...)
			}
		}
	}},
	{"5", "sends Bufs before Buf", "S5_ManyBuffersInOrder", func(b *broken) {
		b.submit = func(op *proactor.Op) {
			if op.Kind == proactor.OpSend && len(op.Bufs) > 0 {
				op.Buf, op.Bufs[0] = op.Bufs[0], op.Buf
			}
		}
	}},
	{"5", "completes a short send", "S5_OrderUnderBackPressure", func(b *broken) {
		b.submit = func(op *proactor.Op) {
			if op.Kind == proactor.OpSend && len(op.Buf) > 10 {
				op.Buf = op.Buf[:10]
			}
		}
		b.complete = on(proactor.OpSend, func(op *proactor.Op, pass func()) {
			op.Buf = op.Buf[:cap(op.Buf)]
			pass()
		})
	}},
	{"5", "gives a pin back before the result", "S5_PinIsReleasedOnce", func(b *broken) {
		pins(b, func(p *proactor.Pin, released func()) { released() }, func(func()) {})
	}},
	{"5", "gives a pin back twice", "S5_PinIsReleasedOnce", func(b *broken) {
		pins(b, nil, func(released func()) { released(); released() })
	}},
	{"5", "never gives a pin back", "S5_PinIsReleasedOnce", func(b *broken) {
		pins(b, nil, func(func()) {})
	}},
}

// pins puts hooks around the pins of sends: early is called at Submit, late
// when the backend releases.
func pins(b *broken, early func(p *proactor.Pin, released func()), late func(released func())) {
	b.submit = func(op *proactor.Op) {
		p := op.Pin
		if p == nil {
			return
		}
		owner := p.Owner
		if early != nil {
			early(p, func() { owner.Released(p, true) })
		}
		p.Owner = pinFunc(func(p *proactor.Pin, copied bool) {
			p.Owner = owner
			late(func() { owner.Released(p, copied) })
		})
	}
}

// cancelMutants break sentence 8.
var cancelMutants = []mutant{
	{"8", "drops bytes that arrive after a Cancel", "S8_ToggledStreamsLoseNothing", func(b *broken) {
		b.complete = on(proactor.OpRecv, func(op *proactor.Op, pass func()) {
			if op.B.State != proactor.Stopping || op.N == 0 || !op.More {
				pass()
			}
		})
	}},
	{"8", "remembers a Cancel of an idle op", "S8_CancelOfAnIdleOpDoesNothing", func(b *broken) {
		marked := map[*proactor.Op]bool{}
		b.cancel = func(op *proactor.Op) {
			marked[op] = !op.Active()
			b.Backend.Cancel(op)
		}
		b.poll = func(timeout time.Duration) error {
			for op := range marked {
				if marked[op] && op.Active() {
					b.Backend.Cancel(op)
					delete(marked, op)
				}
			}
			return b.Backend.Poll(timeout)
		}
	}},
	{"8", "does not cancel what never gets ready", "S8_OpsThatNeverGetReadyAreCanceled", func(b *broken) {
		b.cancel = func(op *proactor.Op) {
			if op.Kind != proactor.OpAccept {
				b.Backend.Cancel(op)
			}
		}
	}},
	{"8", "loses connections that are accepted during a Cancel", "S8_CanceledAcceptLosesNoConnection", func(b *broken) {
		b.complete = on(proactor.OpAccept, func(op *proactor.Op, pass func()) {
			if op.B.State == proactor.Stopping && op.More {
				b.Backend.CloseFD(op.New)
				return
			}
			pass()
		})
	}},
	{"8", "leaves a canceled connect without an end", "S8_ConnectIsCanceledAtEveryStage", func(b *broken) {
		b.complete = on(proactor.OpConnect, func(op *proactor.Op, pass func()) {
			if op.Err != proactor.ErrCanceled {
				pass()
			}
		})
	}},
}
