//go:build linux && (amd64 || arm64)

package uring

import (
	"mobius/internal/invariant"
	"mobius/internal/sys"
	"mobius/proactor"
)

// A sack is what one recvmmsg(2) brings of a busy UDP socket, in buffers of the
// mail's pool that the kernel does not have.
//
// A multishot costs more for each datagram, since there is a completion of each, and since
// it waits at the socket while others are sent from there: the kernel looks each time
// one has left whether somebody waits for room. For single datagrams it costs less, since
// it needs no system call of its own. So a RecvFrom begins with a multishot, turns to
// polls and recvmmsg(2) when several come at once, and back when single ones come;
// see docs/decisions/0010-many-datagrams-at-once.md.
//
//	            crowds turns brought a crowd: the multishot is cancelled
//	multishot ─────────────────────────────────────────────────────────▶ in sacks
//	    ▲                                                                   │
//	    └───────────────────────────────────────────────────────────────────┘
//	            singles sacks in a row brought one each, or no buffer is spare
type sack struct {
	batch sys.Batch
	ids   [sackSize]uint16 // the buffers of batch
	want  int              // how many the next one is to bring at most
	op    *proactor.Op     // whose datagrams these are, nil if there are none
	at, n int              // batch[at:n] have not been delivered
}

// The bounds of a sack, and when a RecvFrom changes over.
const (
	sackSize = bundleSize
	leastAsk = 8
	several  = 4 // datagrams of a multishot in a turn
	crowds   = 4
	singles  = 32
)

// count notes that a multishot has brought a datagram for s, and changes over if many
// come.
func (m *mail) count(b *Backend, s *slot) {
	if m.latest != s {
		m.latest, m.run = s, 0
	}
	if m.run++; m.run != several || s.wait || b.Lookup(s.op.Handle).Network != proactor.UDP {
		return
	}
	if s.streak++; s.streak == crowds {
		s.streak, s.wait = 0, true
		if s.armed {
			b.cancelSlot(s)
		}
	}
}

// gather receives what waits for op, whose poll has ended.
func (b *Backend) gather(op *proactor.Op, s *slot) {
	k, p := &b.sack, b.mail.pool
	if k.batch.Len() == 0 {
		k.batch.Init(sackSize)
		k.want = leastAsk
	}
	n := min(k.want, len(p.spare))
	if n == 0 {
		s.wait = false
		b.goOn(op)
		return
	}
	for i := range n {
		k.ids[i] = p.spare[len(p.spare)-1-i]
		k.batch.In(i, p.inside(k.ids[i])[mailHead:], op.Msg != nil)
	}
	got, errno := k.batch.Receive(int(op.Handle.Index()), n)
	if errno != 0 {
		b.failed(op, errno)
		return
	}
	p.spend(got)
	if k.want = min(max(2*got, leastAsk), sackSize); got == n {
		b.prompt = true // others wait most probably
	}
	if s.streak++; got > 1 {
		s.streak = 0
	} else if s.streak == singles {
		s.streak, s.wait = 0, false
	}
	s.hungry = false
	k.op, k.at, k.n = op, 0, got
	b.handOut()
}

// handOut delivers what is in the sack, also if its op is cancelled meanwhile.
func (b *Backend) handOut() {
	for k := &b.sack; k.op != nil && b.phase != shut; {
		op, i := k.op, k.at
		k.at++
		more := k.at < k.n
		if !more {
			k.op = nil
		}
		id := k.ids[i]
		p := b.mail.pool.inside(id)[mailHead:][:k.batch.Bytes(i)]
		b.mail.pool.buffers[id].filled = mailHead + len(p)
		if invariant.Enabled { // the race detector does not see the pool's memory
			p = append(make([]byte, 0, len(p)), p...)
		}
		b.Came(b.Lookup(op.Handle), k.batch.At(i), op)
		var control []byte
		if op.Msg != nil {
			control = op.Msg.Control
		}
		b.lendDatagram(op, p[:len(p):len(p)], control, bufferID(mailClass, id), more)
	}
}

// mailHead is where a sack's datagrams begin in their buffers: they have as much room as those
// of multishots.
const mailHead = recvmsgOutSize + nameSize + controlSize
