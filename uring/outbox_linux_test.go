//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A crowd is a kernel whose socket has no room for one datagram, and room again
// for the next one.
type crowd struct {
	answers
	liar
	from, at int // which socket's, and how many of its datagrams find room before
	seen     int
	full     int // how often none has
}

func (c *crowd) refuses() bool {
	if c.seen++; c.seen-1 != c.at {
		return false
	}
	c.full++
	return true
}

func (c *crowd) submit(e *SQE) {
	if (e.Opcode == IORING_OP_SENDMSG || e.Opcode == IORING_OP_SEND) && int(e.Fd) == c.from && c.refuses() {
		c.answer(e, unix.EAGAIN)
	}
}

func (c *crowd) together(n int) (int, unix.Errno) {
	for i := range n {
		if !c.refuses() {
			continue
		}
		if i > 0 {
			c.seen-- // it is tried again
			c.full--
			return i, 0
		}
		return 0, unix.EAGAIN
	}
	return n, 0
}

// posts submits datagrams first, first+1, … from a socket, and returns them.
func posts(b *Backend, from proactor.Handle, to *proactor.Address, first, n int) (all []*single) {
	for i := range n {
		all = append(all, start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: from, Addr: to, Buf: []byte{byte(first + i)}}))
	}
	return all
}

// A datagram for which the socket's own send buffer has no room was overtaken by
// those submitted with it, which an instant later found some.
func TestDatagramIsNotOvertakenWhileItsSocketIsFull(t *testing.T) {
	for at := range 12 {
		for _, connected := range []bool{false, true} {
			t.Run(fmt.Sprintf("at=%d/connected=%v", at, connected), func(t *testing.T) {
				b := openTest(t, Options{Unrestricted: true})
				to, where := packet(t, b, udpHere, nil)
				from, _ := packet(t, b, udpHere, nil)
				other, _ := packet(t, b, udpHere, nil)
				in, addr := receive(b, to, false), &where
				if connected {
					if op := start(b, proactor.Op{Kind: proactor.OpConnect, Handle: from, Addr: addr}).wait(t, b); op.Err != nil {
						t.Fatal(op.Err)
					}
					addr = nil
				}
				pass(t, b, time.Millisecond)
				c := &crowd{from: int(from.Index()), at: at}
				c.change = func(x *CQE) { *x = c.answered(*x) }
				b.ring.fake, b.ring.shown = c, b.ring.sq.next
				var all []*single
				for _, n := range []int{1, 5, 1, 4, 1} { // a turn's only one, and many
					first := len(all)
					all = append(all, posts(b, from, addr, first, n)...)
					posts(b, other, &where, 100+first, 1)
					if err := b.Poll(0); err != nil {
						t.Fatal(err)
					}
				}
				until(t, b, "all have arrived", func() bool { return in.count == len(all)+5 })
				if c.full != 1 {
					t.Errorf("%d times there was no room", c.full)
				}
				next, nextOther := byte(0), byte(100)
				for _, p := range in.got {
					if p[0] >= 100 {
						if p[0] < nextOther {
							t.Errorf("of the other socket %d arrives after %d", p[0], nextOther)
						}
						nextOther = p[0]
						continue
					}
					if p[0] != next {
						t.Errorf("datagram %d arrives in the place of %d", p[0], next)
					}
					next++
				}
				for i, s := range all {
					if s.n != 1 || s.last.Err != nil || s.last.N != 1 {
						t.Errorf("SendTo %d: %d completions, %d, %v", i, s.n, s.last.N, s.last.Err)
					}
				}
			})
		}
	}
}

// What waits behind a datagram for which there is no room can be cancelled, and
// so can that one; the rest goes in order.
func TestCancelOfDatagramsThatWait(t *testing.T) {
	b := openTest(t, Options{Unrestricted: true})
	to, at := packet(t, b, udpHere, nil)
	from, _ := packet(t, b, udpHere, nil)
	in := receive(b, to, false)
	pass(t, b, time.Millisecond)
	c := &crowd{from: int(from.Index())}
	c.change = func(x *CQE) { *x = c.answered(*x) }
	b.ring.fake, b.ring.shown = c, b.ring.sq.next
	all := posts(b, from, &at, 0, 6)
	b.Cancel(&all[4].op) // it was not tried yet
	if err := b.Poll(0); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 2} {
		b.Cancel(&all[i].op)
	}
	if err := b.CloseFD(from); err != proactor.ErrBusy {
		t.Errorf("CloseFD answers %v, want ErrBusy", err)
	}
	var want []byte
	until(t, b, "all have ended", func() bool { return b.Stats().Ops == 1 })
	for i, s := range all {
		if canceled := s.last.Err == proactor.ErrCanceled; s.n != 1 || i != 0 && canceled != (i%2 == 0) || !canceled && s.last.Err != nil {
			t.Errorf("SendTo %d ends %d times, with %v", i, s.n, s.last.Err)
		} else if !canceled { // the first may have found room before
			want = append(want, byte(i))
		}
	}
	until(t, b, "what was sent has arrived", func() bool { return in.count >= len(want) })
	if got := bytes.Join(in.got, nil); !bytes.Equal(got, want) {
		t.Errorf("datagrams %v arrive, want %v", got, want)
	}
	if err := b.CloseFD(from); err != nil {
		t.Error(err)
	}
}

// A socket that has more to send than a turn's share goes on in the next one,
// and others are not held up.
func TestManyDatagramsOfOneSocketTakeTurns(t *testing.T) {
	b := openTest(t, Options{})
	_, at := packet(t, b, udpHere, nil)
	from, _ := packet(t, b, udpHere, nil)
	other, _ := packet(t, b, udpHere, nil)
	const n = 3*bundlesPerTurn*bundleSize + 1
	all := posts(b, from, &at, 0, n)
	one := posts(b, other, &at, 0, 1)
	ended := 0
	for turn := 1; ended < n; turn++ {
		if err := b.Poll(time.Second); err != nil {
			t.Fatal(err)
		}
		before := ended
		for ended < n && all[ended].idle() {
			ended++
		}
		if ended-before > bundlesPerTurn*bundleSize || ended == before {
			t.Fatalf("turn %d sends %d", turn, ended-before)
		}
		if !one[0].idle() {
			t.Fatalf("turn %d: the other socket's is not sent", turn)
		}
	}
}

// A coupler is a kernel whose device takes no trains.
type coupler struct {
	answers
	liar
	from    int
	b       *Backend
	refused int
}

func (c *coupler) submit(e *SQE) {
	if e.Opcode != IORING_OP_SENDMSG || int(e.Fd) != c.from {
		return
	}
	if m := *(**Message)(unsafe.Pointer(&e.Addr)); m.ControlLen > 0 {
		c.refused++
		c.answer(e, unix.EIO)
	}
}

func (c *coupler) together(n int) (int, unix.Errno) {
	for i := range n {
		if !c.b.bundle.HasControl(i) {
			continue
		}
		if i > 0 {
			return i, 0
		}
		c.refused++
		return 0, unix.EIO
	}
	return n, 0
}

// Where the device takes no trains their datagrams go one by one, each in its
// place, whatever goes before and behind them.
func TestRefusedTrainsKeepTheirPlace(t *testing.T) {
	for _, trains := range [][]int{{1}, {0, 1, 0}, {1, 1, 0, 0, 1}, {0, 0, 1}} {
		b := openTest(t, Options{Unrestricted: true})
		to, at := packet(t, b, udpHere, nil)
		from, _ := packet(t, b, udpHere, nil)
		in := receive(b, to, false)
		pass(t, b, time.Millisecond)
		c := &coupler{from: int(from.Index()), b: b}
		c.change = func(x *CQE) { *x = c.answered(*x) }
		b.ring.fake, b.ring.shown = c, b.ring.sq.next
		var all []*single
		next, want := byte(0), 0
		for _, train := range trains {
			op := proactor.Op{Kind: proactor.OpSendTo, Handle: from, Addr: &at, Buf: []byte{next}}
			if train == 1 {
				op.Buf = []byte{next, next, next + 1, next + 1, next + 2}
				op.Msg = &proactor.Msg{SegmentSize: 2}
			}
			next += byte(1 + 2*train)
			want += 1 + 2*train
			all = append(all, start(b, op))
		}
		until(t, b, "all arrive", func() bool { return in.count == want })
		for i, p := range in.got {
			if p[0] != byte(i) {
				t.Errorf("%v: datagram %d arrives in the place of %d", trains, p[0], i)
			}
		}
		until(t, b, "all sends have ended", func() bool { return b.Stats().Ops == 1 })
		for i, s := range all {
			if s.n != 1 || s.last.Err != nil || s.last.N != len(s.op.Buf) {
				t.Errorf("%v: SendTo %d: %d completions, %d, %v", trains, i, s.n, s.last.N, s.last.Err)
			}
		}
		if c.refused == 0 {
			t.Errorf("%v: nothing was refused", trains)
		}
	}
}
