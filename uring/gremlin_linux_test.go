//go:build linux && (amd64 || arm64)

package uring

import (
	"math/rand/v2"

	"golang.org/x/sys/unix"
)

// Answers are a fake kernel's: in the place of an entry it does one that does
// nothing, whose result it makes up. Any kernel can be made to lie so.
type answers struct{ given []given }

type given struct {
	user  uint64 // of the entry that was not done
	errno unix.Errno
}

const kindAnswer = 0xff // of user data: an index into given

// answer has the kernel answer e with errno.
func (a *answers) answer(e *SQE, errno unix.Errno) {
	user := userData(kindAnswer, 0, uint32(len(a.given)))
	a.given = append(a.given, given{e.UserData, errno})
	e.PrepNop(user)
}

// answered puts the answer into the completion of an entry that was not done.
func (a *answers) answered(c CQE) CQE {
	if c.UserData>>kindShift == kindAnswer {
		g := a.given[uint32(c.UserData)]
		c.UserData, c.Res = g.user, -int32(g.errno)
	}
	return c
}

// A gremlin is a kernel in a bad mood: it answers entries with EINTR, EAGAIN,
// ENOBUFS or ECANCELED instead of doing what they say, does not find what shall
// be cancelled, or finds it at work, ends multishots after their first result, sends
// less than it was given, and tells of all that late, and in another order
// wherever nobody promises one.
type gremlin struct {
	answers
	rng     *rand.Rand
	odds    int // of one in so many entries, and completions
	queue   []CQE
	working map[uint64]bool // user data of cancels that find their targets at work, and of those targets
	did     map[string]int
}

func newGremlin(seed uint64, odds int) *gremlin {
	return &gremlin{rng: rand.New(rand.NewPCG(seed, 0)), odds: odds, working: map[uint64]bool{}, did: map[string]int{}}
}

func (g *gremlin) chance() bool { return g.rng.IntN(g.odds) == 0 }

// instead answers e, and keeps count of that.
func (g *gremlin) instead(e *SQE, errno unix.Errno) {
	g.did[unix.ErrnoName(errno)]++
	g.answer(e, errno)
}

func (g *gremlin) submit(e *SQE) {
	if !g.chance() {
		return
	}
	passing := []unix.Errno{unix.EINTR, unix.EAGAIN, unix.ECANCELED}
	errno := passing[g.rng.IntN(len(passing))]
	switch e.Opcode {
	case IORING_OP_ASYNC_CANCEL:
		g.cancel(e)
	case IORING_OP_RECV:
		switch g.rng.IntN(3) {
		case 0:
			g.instead(e, errno)
		case 1:
			g.instead(e, unix.ENOBUFS)
		default:
			if e.Ioprio&IORING_RECV_MULTISHOT != 0 {
				g.did["one shot"]++
				e.Ioprio &^= IORING_RECV_MULTISHOT
			}
		}
	case IORING_OP_ACCEPT:
		if g.rng.IntN(2) == 0 && e.Ioprio&IORING_ACCEPT_MULTISHOT != 0 {
			g.did["one shot"]++
			e.Ioprio &^= IORING_ACCEPT_MULTISHOT
			return
		}
		g.instead(e, errno)
	case IORING_OP_SEND, IORING_OP_SEND_ZC:
		if g.rng.IntN(2) == 0 && e.Len > 1 && e.Ioprio&IORING_SEND_VECTORIZED == 0 {
			g.did["short"]++
			e.Len = 1 + uint32(g.rng.IntN(int(e.Len)))
			return
		}
		g.instead(e, errno)
	case IORING_OP_POLL_ADD, IORING_OP_CONNECT, IORING_OP_SENDMSG, IORING_OP_RECVMSG:
		g.instead(e, errno)
	}
}

// cancel does not find the target; or finds it at work, so that it is
// interrupted (EALREADY, io_uring_prep_cancel(3)).
func (g *gremlin) cancel(e *SQE) {
	if g.rng.IntN(2) == 0 || e.OpFlags != 0 {
		g.instead(e, unix.ENOENT)
		return
	}
	e.Flags &^= IOSQE_CQE_SKIP_SUCCESS
	g.working[e.UserData], g.working[e.Addr] = true, true
}

func (g *gremlin) together(n int) (int, unix.Errno) {
	switch {
	case g.chance():
		errno := []unix.Errno{unix.EINTR, unix.EAGAIN}[g.rng.IntN(2)]
		g.did[unix.ErrnoName(errno)+" together"]++
		return 0, errno
	case n > 1 && g.chance():
		g.did["fewer together"]++
		return 1 + g.rng.IntN(n-1), 0
	}
	return n, 0
}

func (g *gremlin) complete(c CQE) {
	c = g.answered(c)
	if g.working[c.UserData] && !c.More() {
		switch {
		case c.UserData>>kindShift == kindCancel && c.Res == 0:
			g.did["EALREADY"]++
			c.Res = -int32(unix.EALREADY)
		case c.UserData>>kindShift != kindCancel && c.Res == -int32(unix.ECANCELED):
			c.Res = -int32(unix.EINTR)
		}
		delete(g.working, c.UserData)
	}
	if c.Flags&IORING_CQE_F_NOTIF != 0 && g.rng.IntN(4) > 0 {
		g.did["no copy"]++
		denies(&c)
	}
	g.queue = append(g.queue, c)
}

func (g *gremlin) kept() int { return len(g.queue) }

// next returns any completion before which none waits that comes before it for
// sure, or none for now.
func (g *gremlin) next() (CQE, bool) {
	if len(g.queue) == 0 {
		return CQE{}, false
	}
	at := 0
	if g.chance() {
		g.did["late"]++
		return CQE{}, false
	}
	if g.chance() {
		at = g.rng.IntN(len(g.queue))
		for i := 0; i < at; i++ {
			if inOrder(g.queue[i], g.queue[at]) {
				at, i = i, -1
			}
		}
		if at > 0 {
			g.did["overtaking"]++
		}
	}
	c := g.queue[at]
	g.queue = append(g.queue[:at], g.queue[at+1:]...)
	return c, true
}

// inOrder reports whether y never comes before x: they are of one submission, or
// lie in one buffer, x before y.
func inOrder(x, y CQE) bool {
	const what = IORING_CQE_F_BUFFER | 0xffff<<IORING_CQE_BUFFER_SHIFT
	return x.UserData == y.UserData ||
		x.Flags&IORING_CQE_F_BUFFER != 0 && x.Flags&what == y.Flags&what && x.UserData>>kindShift == y.UserData>>kindShift
}
