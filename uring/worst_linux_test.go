//go:build linux && (amd64 || arm64)

package uring

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/test/backendtest"
)

// The whole contract holds on a kernel that does its worst.
//
// This file is the last one on purpose: on 6.1 the kernel hands the connect to a full unix
// listener (S4_AFullUnixListenerShowsNothing) to worker threads, which stay for as long as the
// process, and tests in other files want none.
func TestFaultyKernel(t *testing.T) {
	seeds := []uint64{1}
	if n, err := strconv.Atoi(os.Getenv("MOBIUS_SEEDS")); err == nil {
		for len(seeds) < min(n, 100) {
			seeds = append(seeds, uint64(len(seeds)+1))
		}
	}
	did := map[string]int{}
	for _, seed := range seeds {
		for name, o := range map[string]Options{
			"default":          {},
			"plain":            {Plain: true},
			"tiny":             {Entries: 4, CQEntries: 8, Buffers: 4, BufferSize: 256, Datagrams: 2, Plain: true},
			"direct":           {Direct: 4096},
			"zero-copy":        {ZeroCopy: 1, CloseTimeout: 500 * time.Millisecond},
			"tiny-incremental": {Entries: 4, CQEntries: 8, Buffers: 4, BufferSize: 4 << 10, Datagrams: 2, BulkFrom: 1},
		} {
			t.Run(fmt.Sprintf("seed=%d/%s", seed, name), func(t *testing.T) { faulty(t, seed, o, did) })
		}
	}
	t.Log(did)
	for _, what := range []string{"EINTR", "EAGAIN", "ECANCELED", "ENOBUFS", "ENOENT", "EALREADY", "one shot", "short", "late",
		"overtaking", "no copy", "EINTR together", "EAGAIN together", "fewer together"} {
		if did[what] == 0 {
			t.Errorf("it was never %s", what)
		}
	}
}

func faulty(t *testing.T, seed uint64, o Options, did map[string]int) {
	o.Unrestricted = true // it does nothing, which is not on the list
	// What these count or time is the kernel's good behaviour.
	skip := []string{"S1_StartingAllocatesNothing", "S7_Waits", "S7_VeryLong", "S16_AnIdle", "S3c_StarvedAreServedInOrder"}
	if o.Direct > 0 {
		needDirect(t)
		// An accept needs none; the rest has nothing to do with streams.
		skip = append(skip, "S16_NoDescriptorLeft", "S12", "S13", "S14", "S7b", "S10")
	}
	lends := o.ZeroCopy > 0
	if lends {
		needZeroCopy(t)
		// Peers that do not read there leave the kernel memory, and handles busy. The rest
		// has little to do with streams' sends, or takes long.
		skip = append(skip, "S6_BusyWhileAnOpIsActive", "S15_DetachEndsTheGeneration", "S11_SinkFails", "S3", "S7", "S9", "S10", "S12",
			"S13", "S14", "S2d", "S4_AFull", "S8_T", "S8_AC", "Close_Many")
	}
	backendtest.Config{
		Name: "uring", Allocates: lends, Descriptors: true, Hostile: o.Buffers > 0, Scale: 64, Seed: seed, Datagram: 65535,
		SendsOnly: o.Direct > 0,
		Skip:      skip,
		Open: func(tb testing.TB) proactor.Backend {
			good := true // while Open tries what the kernel can do
			o.fake = func() fake {
				if good {
					good = false
					return nil
				}
				g := newGremlin(seed, 8)
				tb.Cleanup(func() {
					for what, n := range g.did {
						did[what] += n
					}
				})
				return g
			}
			b, err := Open(o)
			if err != nil {
				tb.Fatal(err)
			}
			if lends {
				return backendtest.Pinned(b)
			}
			return b
		},
	}.Run(t)
}

// A liar changes what the kernel says.
type liar struct {
	queue  []CQE
	change func(c *CQE)
}

func (*liar) submit(*SQE) {}

func (*liar) together(n int) (int, unix.Errno) { return n, 0 }

func (l *liar) complete(c CQE) {
	l.change(&c)
	l.queue = append(l.queue, c)
}

func (l *liar) kept() int { return len(l.queue) }

func (l *liar) next() (c CQE, ok bool) {
	if ok = len(l.queue) > 0; ok {
		c, l.queue = l.queue[0], l.queue[1:]
	}
	return c, ok
}

// A kernel that does something else with incremental buffers than is said of it
// gets plain ones; one that cannot receive into lent buffers is none for this
// backend. Neither leaves anything behind.
func TestPreflightFindsLies(t *testing.T) {
	testenv.Leaks(t)
	open := func(lie func(c *CQE)) (*Backend, error) {
		return Open(Options{fake: func() fake { return &liar{change: lie} }})
	}
	b, err := open(func(c *CQE) { c.Flags &^= IORING_CQE_F_BUF_MORE })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Choice() {
		if c.Feature == Incremental && (c.Used || c.Why == "") {
			t.Fatalf("chosen: %+v", c)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		_, err = open(func(c *CQE) {
			if c.Flags&IORING_CQE_F_BUFFER != 0 {
				c.Flags ^= 1 << IORING_CQE_BUFFER_SHIFT // another buffer
			}
		})
		if !errors.Is(err, ErrUnavailable) {
			t.Fatalf("Open: %v", err)
		}
	}
}

// An error that does not pass is its op's alone, and leaves nothing behind.
func TestMemoryShortageIsAnError(t *testing.T) {
	b := openTest(t, Options{Unrestricted: true})
	s := &shortage{gremlin: newGremlin(0, 1)}
	l, at, err := b.Listen(localhost, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := b.Stream(at, nil)
	if err != nil {
		t.Fatal(err)
	}
	connect, accept := &denied{op: proactor.Op{Kind: proactor.OpConnect, Handle: h, Addr: &at}}, &accepted{}
	connect.op.Owner, accept.Op = connect, proactor.Op{Kind: proactor.OpAccept, Handle: l, Owner: accept}
	b.Submit(&accept.Op)
	b.Submit(&connect.op)
	until(t, b, "connected", func() bool { return accept.h != 0 && !connect.op.Active() })
	b.Cancel(&accept.Op)
	until(t, b, "the accept has ended", func() bool { return !accept.Op.Active() })
	b.ring.fake, b.ring.shown = s, b.ring.sq.next
	for _, o := range []proactor.Op{
		{Kind: proactor.OpAccept, Handle: l}, {Kind: proactor.OpRecv, Handle: h}, {Kind: proactor.OpSend, Handle: h, Buf: []byte("x")},
		{Kind: proactor.OpPoll, Handle: accept.h, Events: proactor.Readable},
	} {
		d := &denied{op: o}
		d.op.Owner = d
		b.Submit(&d.op)
		until(t, b, o.Kind.String()+" ends", func() bool { return !d.op.Active() })
		if d.err != unix.ENOMEM {
			t.Errorf("%v ends with %v, want ENOMEM", o.Kind, d.err)
		}
	}
	b.ring.fake = nil
	in, out := &accepted{}, &denied{op: proactor.Op{Kind: proactor.OpSend, Handle: h, Buf: []byte("after all")}}
	in.Op, out.op.Owner = proactor.Op{Kind: proactor.OpRecv, Handle: accept.h, Owner: in}, out
	b.Submit(&in.Op)
	b.Submit(&out.op)
	until(t, b, "bytes arrive", func() bool { return in.n == len("after all") })
	b.Cancel(&in.Op)
	until(t, b, "all has ended", func() bool { return b.Stats().Ops == 0 })
	for _, h := range []proactor.Handle{l, h, accept.h} {
		if err := b.CloseFD(h); err != nil {
			t.Error(err)
		}
	}
}

// A shortage is a kernel that has no memory for what is more than a wake-up.
type shortage struct{ *gremlin }

func (s *shortage) submit(e *SQE) {
	if e.UserData>>kindShift != kindWake && e.Opcode != IORING_OP_ASYNC_CANCEL {
		s.answer(e, unix.ENOMEM)
	}
}

func (s *shortage) next() (c CQE, ok bool) {
	if ok = len(s.queue) > 0; ok {
		c, s.queue = s.queue[0], s.queue[1:]
	}
	return c, ok
}

// accepted takes note of what it gets.
type accepted struct {
	proactor.Op
	h proactor.Handle
	n int
}

func (a *accepted) Complete(op *proactor.Op) {
	if op.New != 0 {
		a.h = op.New
	}
	a.n += len(op.Buf)
}
