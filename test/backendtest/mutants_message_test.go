package backendtest_test

import (
	"syscall"

	"mobius/proactor"
)

// messageMutants break the sentences about options, messages and children.
var messageMutants = []mutant{
	{"9a", "does not read options back", "S9a_OptionsAreReadBack", func(b *broken) {
		b.options = func(proactor.Handle) (proactor.SocketOptions, error) { return proactor.SocketOptions{}, nil }
	}},
	{"10a", "forgets all Poll ops of a handle but one", "S10a_SeveralPollsOnOneHandle", func(b *broken) {
		told := map[proactor.Handle]int{}
		b.complete = on(proactor.OpPoll, func(op *proactor.Op, pass func()) {
			if op.Err == nil && op.Events == proactor.Readable {
				if told[op.Handle]++; told[op.Handle] > 1 {
					return
				}
			}
			pass()
		})
	}},
	{"12a", "sends the latest datagram first", "S12a_OrderIsKept", func(b *broken) {
		var kept *proactor.Op
		b.submit = func(op *proactor.Op) {
			if op.Kind != proactor.OpSendTo {
				return
			}
			if kept == nil {
				kept = op
				return
			}
			kept.Buf, op.Buf = op.Buf, kept.Buf
			kept = nil
		}
	}},
	{"12a", "ends a handle's SendTo ops when one fails", "S12a_OrderIsKept", func(b *broken) {
		failed := false
		b.complete = on(proactor.OpSendTo, func(op *proactor.Op, pass func()) {
			if failed = failed || op.Err != nil; failed {
				op.Err = syscall.EMSGSIZE
			}
			pass()
		})
	}},
	{"12b", "keeps it to itself that a datagram was cut off", "S12b_TruncationIsTold", func(b *broken) {
		b.complete = on(proactor.OpRecvFrom, func(op *proactor.Op, pass func()) {
			if op.Msg != nil {
				op.Msg.Truncated = false
			}
			pass()
		})
	}},
	{"12c", "joins datagrams for a RecvFrom without a Msg", "S12c_SegmentsNeedAMsg", func(b *broken) {
		b.complete = on(proactor.OpRecvFrom, func(op *proactor.Op, pass func()) {
			if op.Err == proactor.ErrSegments {
				op.Err = nil
			}
			pass()
		})
	}},
	{"12c", "does not tell the time to live", "S12c_InfoBothWays", func(b *broken) {
		b.complete = on(proactor.OpRecvFrom, func(op *proactor.Op, pass func()) {
			if op.Msg != nil {
				op.Msg.Info.TTL = 64
			}
			pass()
		})
	}},
	{"12c", "sends segments as one datagram", "S12c_SegmentsAreCutAndJoined", func(b *broken) {
		b.submit = func(op *proactor.Op) {
			if op.Kind == proactor.OpSendTo && op.Msg != nil {
				op.Msg.SegmentSize = 0
			}
		}
	}},
	{"12f", "fails with trains that the kernel refuses", "S12f_RefusedTrainsGoApart", func(b *broken) {
		b.complete = on(proactor.OpSendTo, func(op *proactor.Op, pass func()) {
			if op.Msg != nil && len(op.Buf) > 128*op.Msg.SegmentSize {
				op.N, op.Err = 0, syscall.EINVAL
			}
			pass()
		})
	}},
	{"12d", "does not leave a group", "S12d_MembersGetMulticasts", func(b *broken) {
		b.leave = func(proactor.Handle, proactor.Membership) error { return nil }
	}},
	{"12e", "loses descriptors on their way", "S12e_FilesTravelWithTheirBytes", func(b *broken) {
		b.complete = on(proactor.OpRecv, func(op *proactor.Op, pass func()) {
			if op.Msg != nil {
				for _, fd := range op.Msg.Files {
					b.Backend.Discard(fd)
				}
				op.Msg.Files = nil
			}
			pass()
		})
	}},
	{"12e", "hands on the descriptors that the sender still closes", "S12e_FilesTravelWithTheirBytes", func(b *broken) {
		b.submit = func(op *proactor.Op) {
			if op.Kind == proactor.OpSend && op.Msg != nil && len(op.Msg.Files) > 0 {
				op.Msg.Files = op.Msg.Files[:1]
			}
		}
	}},
	{"13a", "leaves a handle behind when Spawn fails", "S13a_ASpawnThatFailsLeavesNothing", func(b *broken) {
		b.spawn = func(c *proactor.Command) (proactor.Handle, []proactor.Handle, error) {
			h, pipes, err := b.Backend.Spawn(c)
			if err != nil {
				b.Backend.Stream(proactor.UnixAddress("/x"), nil)
			}
			return h, pipes, err
		}
	}},
	{"13b", "signals children that have ended", "S13b_SignalReachesTheChild", func(b *broken) {
		b.signal = func(h proactor.Handle, s syscall.Signal) error {
			if err := b.Backend.Signal(h, s); err != syscall.ESRCH {
				return err
			}
			return nil
		}
	}},
}
