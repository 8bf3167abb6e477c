//go:build linux && (amd64 || arm64)

package uring

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// baseFlags are those of every ring here. DEFER_TASKRUN needs SINGLE_ISSUER, and
// 6.1.
const baseFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
	IORING_SETUP_CLAMP | IORING_SETUP_TASKRUN_FLAG

// baseFeatures must be reported.
const baseFeatures = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL |
	IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP

// A choice is what a backend uses.
type choice struct {
	incremental, registeredRing, noIOWait, skipSuccess, splice       bool
	multishotAccept, multishotRecv, multishotRecvmsg, sendVectorized bool

	setup    uint32 // flags of the ring
	features uint32
	ops      *Ops
	index    int               // at which to register the ring
	why      map[Feature]error // not used because of this
}

var errMasked = errors.New("masked by the options")

func (c *choice) used() map[Feature]bool {
	return map[Feature]bool{
		Incremental: c.incremental, NoSQArray: c.setup&IORING_SETUP_NO_SQARRAY != 0, NoIOWait: c.noIOWait,
		RegisteredRing: c.registeredRing, MultishotAccept: c.multishotAccept, MultishotRecv: c.multishotRecv,
		MultishotRecvmsg: c.multishotRecvmsg,
		SendVectorized:   c.sendVectorized, SkipSuccess: c.skipSuccess, Splice: c.splice,
	}
}

func (c *choice) list() (out []Choice) {
	used := c.used()
	for _, f := range Features() {
		x := Choice{Feature: f, Used: used[f]}
		if !x.Used {
			x.Why = "the kernel does not have it"
			if err := c.why[f]; err != nil {
				x.Why = err.Error()
			}
		}
		out = append(out, x)
	}
	return out
}

// examine finds out, on a small ring of its own, what the kernel lets this
// process do: not by its version, but by doing it. What it cannot do without is an
// ErrUnavailable.
func examine(o Options) (c choice, err error) {
	runtime.LockOSThread() // the ring is this thread's
	defer runtime.UnlockOSThread()
	c.why = map[Feature]error{}
	for _, f := range o.Without {
		c.why[f] = errMasked
	}
	r, err := NewRing(o.into(Setup{Entries: 16, CQEntries: 32, Flags: baseFlags, Optional: c.optional()}))
	if err != nil {
		return c, unavailable(err)
	}
	defer r.Close()
	c.setup, c.features = r.Flags(), r.Features()
	if missing := baseFeatures &^ r.Features(); missing != 0 {
		return c, differs(fmt.Errorf("its rings lack %s", strings.Join(featureNames(missing), ", ")))
	}
	if c.ops, err = r.Ops(); err != nil {
		return c, unavailable(err)
	}
	if missing := missingOps(c.ops); missing != nil {
		return c, differs(fmt.Errorf("it cannot %s", strings.Join(missing, ", ")))
	}
	want := func(f Feature) bool { return c.why[f] == nil }
	c.noIOWait = want(NoIOWait) && r.Features()&IORING_FEAT_NO_IOWAIT != 0
	c.skipSuccess, c.splice = want(SkipSuccess), want(Splice)
	c.registeredRing = want(RegisteredRing)
	if err := c.try(r, want); err != nil {
		return c, err
	}
	if o.ZeroCopy > 0 {
		if err := c.tryZeroCopy(r); err != nil {
			return c, err
		}
	}
	if o.Direct > 0 {
		return c, c.tryDirect(r)
	}
	return c, nil
}

// tryDirect finds out whether Options.Direct can be had.
func (c *choice) tryDirect(r *Ring) error {
	if !c.ops[IORING_OP_FIXED_FD_INSTALL] {
		return fmt.Errorf("Options.Direct: no file of a ring's table can have a descriptor, Linux 6.13 is needed: %w", unix.EOPNOTSUPP)
	}
	t := trial{r: r}
	if err := t.direct(); err != nil {
		return fmt.Errorf("Options.Direct: %w", err)
	}
	return nil
}

func (c *choice) optional() uint32 {
	if c.why[NoSQArray] != nil {
		return 0
	}
	return IORING_SETUP_NO_SQARRAY
}

// try does what a backend will do, and looks at what comes of it.
func (c *choice) try(r *Ring, want func(Feature) bool) error {
	t := trial{r: r}
	c.multishotRecv = want(MultishotRecv)
	if err := t.receive(false, c.multishotRecv); err != nil {
		return blame(fmt.Errorf("receiving into lent buffers: %w", err))
	}
	if want(Incremental) {
		err := t.receive(true, c.multishotRecv)
		c.incremental, c.why[Incremental] = err == nil, err
	}
	if want(MultishotRecvmsg) {
		err := t.receiveMessages()
		c.multishotRecvmsg, c.why[MultishotRecvmsg] = err == nil, err
	}
	if want(SendVectorized) {
		err := t.sendVectors()
		c.sendVectorized, c.why[SendVectorized] = err == nil, err
	}
	if want(MultishotAccept) {
		err := t.accept()
		c.multishotAccept, c.why[MultishotAccept] = err == nil, err
	}
	return nil
}

// blame tells why a trial failed: by a refusal, for want of descriptors, which
// says nothing about io_uring, or because it does not work as expected.
func blame(err error) error {
	u := unavailable(err)
	switch {
	case errors.Is(u, ErrUnavailable) && !errors.Is(err, errResult):
		return u
	case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE):
		return err
	}
	return differs(err)
}

var (
	errResult   = errors.New("unexpected result")
	errNoBuffer = fmt.Errorf("%w: no buffer", errResult)
)

// A trial does things on a ring and a pair of sockets.
type trial struct {
	r    *Ring
	a, b int // connected sockets, O_NONBLOCK
	user uint64
}

func (t *trial) pair() (closer func(), err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	t.a, t.b = fds[0], fds[1]
	return func() { _ = unix.Close(t.a); _ = unix.Close(t.b) }, nil
}

// next waits for a completion of the latest submission, for a second at most:
// each is expected to be there already.
func (t *trial) next() (CQE, error) {
	for range 4 {
		if c, ok := t.r.NextCQE(); ok && c.UserData == t.user {
			return c, nil
		} else if ok {
			continue
		}
		if _, err := t.r.Wait(1, time.Second); err != nil {
			return CQE{}, err
		}
	}
	return CQE{}, fmt.Errorf("%w: no completion", errResult)
}

func (t *trial) entry() *SQE {
	t.user++
	return t.r.NextSQE() // the queue is larger than any trial needs
}

// receive plays a stream's whole life on two small buffers: it waits although
// the socket does not, it runs out of buffers and gets new ones, it ends; and a
// second one is cancelled. Every byte must arrive, in order.
func (t *trial) receive(incremental, multishot bool) error {
	closePair, err := t.pair()
	if err != nil {
		return err
	}
	defer closePair()
	p, err := newPool(t.r, 1, 2, 128, incremental)
	if err != nil {
		return err
	}
	defer p.close()
	p.publish()
	x := reception{trial: t, p: p, multishot: multishot, want: pattern(700)}
	x.arm(t.a)
	if _, err := t.r.Wait(0, 0); err != nil {
		return err
	}
	if c, ok := t.r.NextCQE(); ok {
		return fmt.Errorf("%w: %d from an empty socket that is O_NONBLOCK", errResult, c.Res)
	}
	for _, n := range []int{100, 100, 500} {
		if err := x.exchange(n); err != nil {
			return err
		}
	}
	if !x.starved || (multishot && !x.more) {
		return fmt.Errorf("%w: starved %v, more %v", errResult, x.starved, x.more)
	}
	return x.end()
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i>>5)
	}
	return p
}

// A reception is one stream of a trial.
type reception struct {
	*trial
	p             *pool
	multishot     bool
	armed         bool
	want          []byte
	sent, got     int
	more, starved bool // F_MORE was seen, ENOBUFS was seen
}

func (x *reception) arm(fd int) {
	if e := x.entry(); x.multishot {
		e.PrepRecvMultishot(fd, x.p.ring.Group(), x.user)
	} else {
		e.PrepRecvSelect(fd, x.p.ring.Group(), 0, x.user)
	}
	x.armed = true
}

// exchange sends n bytes and receives them.
func (x *reception) exchange(n int) error {
	if _, err := unix.Write(x.b, x.want[x.sent:x.sent+n]); err != nil {
		return err
	}
	for x.sent += n; x.got < x.sent; {
		if err := x.step(); err != nil {
			return err
		}
	}
	return nil
}

// step handles one completion. Buffers go back only once they are all used up,
// so that the stream starves.
func (x *reception) step() error {
	if !x.armed {
		x.arm(x.a)
	}
	c, err := x.next()
	if err != nil {
		return err
	}
	x.armed = c.More()
	x.more = x.more || c.More()
	switch {
	case c.Res > 0 && c.Flags&IORING_CQE_F_BUFFER != 0:
		data := x.p.take(c.Buffer(), int(c.Res), c.Flags)
		if data == nil || x.got+len(data) > x.sent || !slices.Equal(data, x.want[x.got:x.got+len(data)]) {
			return fmt.Errorf("%w: %d bytes in buffer %d are not those that were sent", errResult, c.Res, c.Buffer())
		}
		x.got += len(data)
		return nil
	case c.Res == -int32(unix.ENOBUFS) && !c.More() && x.p.avail == 0:
		x.starved = true
		for i := range x.p.buffers {
			x.p.post(uint16(i))
		}
		x.p.publish()
		return nil
	case c.Res < 0 && c.Res != -int32(unix.ENOBUFS):
		return syscall.Errno(-c.Res)
	}
	return fmt.Errorf("%w: %d, flags %#x", errResult, c.Res, c.Flags)
}

// end lets one direction end, and cancels the other.
func (x *reception) end() error {
	for i, f := range x.p.buffers {
		if f.spent {
			x.p.post(uint16(i))
		}
	}
	x.p.publish()
	if !x.armed {
		x.arm(x.a)
	}
	if err := unix.Shutdown(x.b, unix.SHUT_WR); err != nil {
		return err
	}
	err := x.last(0, "at the end of a stream")
	if errors.Is(err, errNoBuffer) {
		// 6.1 looks for a buffer before it looks for bytes: it starved after
		// the last ones, before the buffers came back.
		x.arm(x.a)
		err = x.last(0, "at the end of a stream")
	}
	if err != nil {
		return err
	}
	x.arm(x.b)
	x.r.NextSQE().PrepCancel(x.user, 0)
	return x.last(-int32(unix.ECANCELED), "after a cancel")
}

func (x *reception) last(res int32, when string) error {
	c, err := x.next()
	if err == nil && c.Res == -int32(unix.ENOBUFS) && !c.More() {
		return errNoBuffer
	}
	if err == nil && (c.Res != res || c.More()) {
		err = fmt.Errorf("%w: %d, flags %#x %s", errResult, c.Res, c.Flags, when)
	}
	return err
}

func (t *trial) sendVectors() error {
	closePair, err := t.pair()
	if err != nil {
		return err
	}
	defer closePair()
	v := new([2]Vector)
	v[0].Set(pattern(3))
	v[1].Set(pattern(2))
	t.entry().PrepSendVectors(t.a, v[:], sendFlags, t.user)
	c, err := t.next()
	runtime.KeepAlive(v)
	if err != nil {
		return err
	}
	if c.Res < 0 {
		return syscall.Errno(-c.Res)
	}
	if c.Res != 5 {
		return fmt.Errorf("%w: %d of 5 bytes", errResult, c.Res)
	}
	return nil
}

// listenAnywhere returns a unix socket that listens, and its name.
func listenAnywhere() (l int, name unix.Sockaddr, err error) {
	l, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, nil, err
	}
	if err = unix.Bind(l, &unix.SockaddrUnix{}); err == nil {
		err = unix.Listen(l, 1)
	}
	if err == nil {
		name, err = unix.Getsockname(l)
	}
	if err != nil {
		_ = unix.Close(l)
	}
	return l, name, err
}

// accept takes a connection from a unix socket with a name of the kernel's
// choice.
func (t *trial) accept() error {
	const kind = unix.SOCK_STREAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	l, name, err := listenAnywhere()
	if err != nil {
		return err
	}
	defer unix.Close(l)
	t.entry().PrepAcceptMultishot(l, acceptFlags, t.user)
	d, err := unix.Socket(unix.AF_UNIX, kind, 0)
	if err != nil {
		return err
	}
	defer unix.Close(d)
	if err := unix.Connect(d, name); err != nil {
		return err
	}
	c, err := t.next()
	if err != nil {
		return err
	}
	if c.Res < 0 {
		return syscall.Errno(-c.Res)
	}
	_ = unix.Close(int(c.Res))
	if !c.More() {
		return fmt.Errorf("%w: it ended after one connection", errResult)
	}
	t.r.NextSQE().PrepCancel(t.user, 0)
	_, err = t.next()
	return err
}
