package backendtest_test

import (
	"io"
	"slices"

	"mobius/proactor"
)

// socketMutants break sentences 9 and 10.
var socketMutants = []mutant{
	{"9", "does not tell the peer's address", "S9_NamesAgree", func(b *broken) {
		b.complete = on(proactor.OpAccept, func(op *proactor.Op, pass func()) {
			if op.Addr != nil {
				*op.Addr = proactor.Address{}
			}
			pass()
		})
	}},
	{"9", "ends an accept because a peer is gone", "S9_APeerThatIsGone", func(b *broken) {
		gone := b.Backend.Stats().PeerGone
		b.complete = on(proactor.OpAccept, func(op *proactor.Op, pass func()) {
			if n := b.Backend.Stats().PeerGone; n != gone {
				return // as if it had never come
			}
			pass()
		})
	}},
	{"10", "tells readiness only when it changes", "S10_LevelTriggeredAndOneShot", func(b *broken) {
		told := map[proactor.Handle]bool{}
		b.complete = func(op *proactor.Op, pass func()) {
			if op.Kind == proactor.OpRecv {
				delete(told, op.Handle)
			}
			if op.Kind == proactor.OpPoll && op.Events&proactor.Readable != 0 {
				if told[op.Handle] {
					return
				}
				told[op.Handle] = true
			}
			pass()
		}
	}},
	{"10b", "tells a hang-up to nobody who reads", "S10b_AHangUpIsReadyForAll", func(b *broken) {
		b.complete = on(proactor.OpPoll, func(op *proactor.Op, pass func()) {
			if op.Events&proactor.Failed != 0 {
				op.Events = proactor.Failed
			}
			pass()
		})
	}},
	{"10b", "tells the end of a pipe as readiness alone", "S10b_TheEndOfAPipe", func(b *broken) {
		b.complete = on(proactor.OpPoll, func(op *proactor.Op, pass func()) {
			op.Events &^= proactor.Failed
			pass()
		})
	}},
	{"10", "tells readiness again and again", "S10_LevelTriggeredAndOneShot", func(b *broken) {
		b.complete = on(proactor.OpPoll, func(op *proactor.Op, pass func()) {
			pass()
			if !op.Active() {
				pass()
			}
		})
	}},
}

// relayMutants break sentence 11.
var relayMutants = []mutant{
	{"11", "loses what was read but not sent", "S11_CancelLosesNothing", func(b *broken) {
		b.complete = on(proactor.OpRelay, func(op *proactor.Op, pass func()) {
			op.Relay.Rest = nil
			pass()
		})
	}},
	{"11", "sends Head twice", "S11_HeadGoesFirst", func(b *broken) {
		b.submit = func(op *proactor.Op) {
			if op.Kind == proactor.OpRelay {
				op.Relay.Head = append(slices.Clip(op.Relay.Head), op.Relay.Head...)
			}
		}
	}},
	{"11", "sends Head last", "S11_HeadGoesFirst", func(b *broken) {
		heads := map[*proactor.Relay][]byte{}
		b.submit = func(op *proactor.Op) {
			if op.Kind == proactor.OpRelay {
				heads[op.Relay], op.Relay.Head = op.Relay.Head, nil
			}
		}
		b.complete = on(proactor.OpRelay, func(op *proactor.Op, pass func()) {
			n, _ := b.Backend.TryWrite(op.Relay.Dst, [][]byte{heads[op.Relay]})
			op.Relay.Moved.Add(int64(n))
			pass()
		})
	}},
	{"11", "ignores Window", "S11_WindowEndsIt", func(b *broken) {
		b.submit = func(op *proactor.Op) {
			if op.Kind == proactor.OpRelay {
				op.Relay.Window = 0
			}
		}
	}},
	{"11", "counts Head in Window", "S11_WindowEndsIt", func(b *broken) {
		b.submit = func(op *proactor.Op) {
			if op.Kind == proactor.OpRelay && op.Relay.Window > int64(len(op.Relay.Head)) {
				op.Relay.Window -= int64(len(op.Relay.Head))
			} else if op.Kind == proactor.OpRelay && op.Relay.Window > 0 {
				op.Relay.Window = 1
			}
		}
	}},
	{"11", "ignores Budget", "S11_BudgetBoundsATurn", func(b *broken) {
		b.submit = func(op *proactor.Op) {
			if op.Kind == proactor.OpRelay {
				op.Relay.Budget = 1 << 30
			}
		}
	}},
	{"11", "blames the wrong side", "S11_SourceFails", func(b *broken) {
		b.complete = on(proactor.OpRelay, func(op *proactor.Op, pass func()) {
			if op.Relay.Side != proactor.NoSide {
				op.Relay.Side = proactor.Source + proactor.Sink - op.Relay.Side
			}
			pass()
		})
	}},
	{"11", "passes the end on by itself", "S11_MovesEverythingToTheEnd", func(b *broken) {
		b.complete = on(proactor.OpRelay, func(op *proactor.Op, pass func()) {
			if op.Err == io.EOF {
				b.Backend.Shutdown(op.Relay.Dst)
			}
			pass()
		})
	}},
	{"11", "does not count what it moves", "S11_SlowSink", func(b *broken) {
		b.complete = on(proactor.OpRelay, func(op *proactor.Op, pass func()) {
			op.Relay.Moved.Store(0)
			pass()
		})
	}},
}

// otherMutants break sentences 12 to 16 and Close.
var otherMutants = []mutant{
	{"12", "ends at an empty datagram", "S12_BoundsAreKept", func(b *broken) {
		ended := false
		b.complete = on(proactor.OpRecvFrom, func(op *proactor.Op, pass func()) {
			if ended = ended || op.Err == nil && len(op.Buf) == 0; !ended || !op.More {
				pass()
			}
		})
	}},
	{"12", "joins datagrams", "S12_BoundsAreKept", func(b *broken) {
		var first []byte
		b.complete = on(proactor.OpRecvFrom, func(op *proactor.Op, pass func()) {
			if first == nil {
				first = append([]byte{}, op.Buf...)
			}
			op.Buf = append(slices.Clip(first), op.Buf...)
			pass()
		})
	}},
	{"12", "sends all datagrams to one place", "S12_SeveralSendTo", func(b *broken) {
		var to *proactor.Address
		b.submit = func(op *proactor.Op) {
			if op.Kind == proactor.OpSendTo {
				if to == nil {
					to = op.Addr
				}
				op.Addr = to
			}
		}
	}},
	{"13", "loses the wait status", "S13_CompletesOnceWithTheStatus", func(b *broken) {
		b.complete = on(proactor.OpChild, func(op *proactor.Op, pass func()) { op.N = 0; pass() })
	}},
	{"13", "tells a child's end twice", "S13_CompletesOnceWithTheStatus", func(b *broken) {
		b.complete = on(proactor.OpChild, func(_ *proactor.Op, pass func()) { pass(); pass() })
	}},
	{"14", "completes before Func has returned", "S14_CompletesAfterFuncHasReturned", func(b *broken) {
		b.submit = func(op *proactor.Op) {
			if f := op.Func; op.Kind == proactor.OpWork && f != nil {
				op.Func = func() {}
				b.atClose(f)
			}
		}
	}},
	{"14", "runs what was canceled", "S14_CancelCountsOnlyBeforeTheStart", func(b *broken) {
		b.complete = on(proactor.OpWork, func(op *proactor.Op, pass func()) {
			if op.Err == proactor.ErrCanceled {
				op.Func()
			}
			pass()
		})
	}},
	{"15", "detaches with an op active", "S15_DetachEndsTheGeneration", func(b *broken) {
		b.detach = func(h proactor.Handle) (int, error) {
			fd, err := b.Backend.Detach(h)
			if err == proactor.ErrBusy {
				err = nil
			}
			return fd, err
		}
	}},
	{"15", "loses what waits in a socket that moves", "S15_MovesBetweenBackends", func(b *broken) {
		b.detach = func(h proactor.Handle) (int, error) {
			op := &proactor.Op{Kind: proactor.OpRecv, Handle: h}
			op.Owner = completer(func(op *proactor.Op) {})
			b.Backend.Submit(op)
			for range 20 {
				b.Backend.Poll(1e6)
			}
			for b.Backend.Cancel(op); op.Active(); {
				b.Backend.Poll(1e6)
			}
			return b.Backend.Detach(h)
		}
	}},
	{"16", "crashes beyond a hundred ops", "S16_ManyOpsAtOnce", func(b *broken) {
		b.submit = func(*proactor.Op) {
			if b.Backend.Stats().Ops > 100 {
				panic("the table is full")
			}
		}
	}},
	{"16", "loses ops beyond a hundred", "S16_SubmitFromCompletions", func(b *broken) {
		n := 0
		b.complete = on(proactor.OpSend, func(_ *proactor.Op, pass func()) {
			if n++; n < 100 {
				pass()
			}
		})
	}},
	{"16", "does not give up a lent buffer", "S2b_RecvGoesOnToTheEnd", func(b *broken) {
		b.complete = on(proactor.OpRecv, func(op *proactor.Op, pass func()) {
			if op.N > 0 {
				b.Backend.Hold(op, evictFunc(func(*proactor.Hold) {}))
			}
			pass()
		})
	}},
	{"close", "completes ops in Close", "Close_WithEverythingActive", func(b *broken) {
		var live []*proactor.Op
		b.submit = func(op *proactor.Op) { live = append(live, op) }
		b.close = func() error {
			for _, op := range live {
				if op.Active() {
					op.Owner.Complete(op)
				}
			}
			live = nil
			return b.Backend.Close()
		}
	}},
	{"close", "leaves its handles open", "Close_GivesHandlesBack", func(b *broken) {
		b.close = func() error { return nil }
	}},
}

// A completer is a function as an owner.
type completer func(op *proactor.Op)

func (f completer) Complete(op *proactor.Op) { f(op) }
