//go:build linux && (amd64 || arm64)

package uring

import (
	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/internal/sys"
	"mobius/proactor"
)

// A mail is what datagrams are lent from: a ring of whole buffers of its own,
// since incremental ones break receives of messages near their end. Each buffer
// has room for the largest datagram with all that travels beside it; of a small one
// it costs one page.
type mail struct {
	pool  *pool // nil if messages are not received by multishots
	holds proactor.Holds
	back  func(*proactor.Hold) // bound once
	asked int                  // holds that are being given back
	cap   int                  // largest number of other holds

	latest *slot // what a multishot has brought a datagram for, and how many in this turn
	run    int
}

// Defaults of the options.
const (
	defaultDatagrams    = 128
	defaultDatagramSize = 65535 // IPv4's and IPv6's limit, also for what UDP_GRO joins
)

// Room in front of the payload: of an address (struct sockaddr_storage), and
// of control data: 253 descriptors (SCM_MAX_FD) and all that SocketOptions can
// ask for.
const (
	nameSize    = 128
	controlSize = 1280
)

// mailClass is the class of a mail's buffers in bufferID; mailHeap is what holds
// have instead of noBuffer, and askedBack is set in the ids of those that were asked
// back.
const (
	mailClass = 0xff
	mailHeap  = noBuffer >> 1
	askedBack = noBuffer ^ mailHeap
)

// controlRoom returns the room for control data that receives of a kind have.
func controlRoom(kind uint64) int {
	if kind == kindMailControl {
		return controlSize
	}
	return 0
}

func (b *Backend) openMail() (err error) {
	m := &b.mail
	m.holds.Init(b.Wake)
	m.back = b.mailUnheld
	n, size := b.o.Datagrams, b.o.DatagramSize
	if n <= 0 {
		n = defaultDatagrams
	}
	m.cap = max(n/2, 1)
	if size <= 0 {
		size = defaultDatagramSize
	}
	if !b.choice.multishotRecvmsg {
		return nil
	}
	size += recvmsgOutSize + nameSize + controlSize
	size = (size + unix.Getpagesize() - 1) &^ (unix.Getpagesize() - 1)
	if m.pool, err = newPool(b.ring, mailGroup, n, size, false); err == nil {
		m.pool.leave(n / 2)
	}
	return err
}

// mailGroup is the group of the buffers; those of streams count from 1.
const mailGroup = 100

// holdMail keeps the datagram that is lent.
func (b *Backend) holdMail(id uint32, owner proactor.Evictor) *proactor.Hold {
	if id == noBuffer {
		b.letter = nil // the hold's now
		id = mailHeap
	} else {
		b.mail.pool.buffers[uint16(id)].users++
	}
	return b.mail.holds.New(b.after.lent, id, owner)
}

// release ends one use of buffer i: the last one gives it to the kernel.
func (m *mail) release(i uint16) {
	f := &m.pool.buffers[i]
	if f.users--; f.users == 0 {
		m.pool.post(i)
	}
}

// mailUnheld takes back the bytes of a hold that was released.
func (b *Backend) mailUnheld(h *proactor.Hold) {
	if invariant.Enabled {
		invariant.Scribble(h.Bytes)
	}
	if h.Buffer&askedBack != 0 {
		b.mail.asked--
	}
	if h.Buffer&^askedBack != mailHeap {
		b.mail.release(uint16(h.Buffer))
	}
}

// evictMail asks the oldest hold back, and reports whether there was one.
func (b *Backend) evictMail() bool {
	h := b.mail.holds.Oldest()
	if h == nil {
		return false
	}
	h.Buffer |= askedBack
	b.mail.asked++
	b.stats.Evicted++
	return b.mail.holds.Evict()
}

// feedMail does for datagrams what the rounds of a Poll do for streams: it
// takes back what was released, asks for what is too much, and arms receives
// that starved, in their order. It reports whether the loop may sleep.
func (b *Backend) feedMail() (idle bool) {
	m := &b.mail
	m.holds.Collect(m.back)
	for m.holds.Len()-m.asked > m.cap && b.evictMail() {
	}
	m.holds.Collect(m.back)
	if m.pool == nil {
		return true
	}
	for n := min(m.pool.starving(), m.pool.avail); n > 0; n-- {
		b.arm(m.pool.next())
	}
	hungry := m.pool.starving() > 0
	m.holds.Want(hungry)
	if !hungry {
		return true
	}
	before := m.holds.Len()
	m.holds.Collect(m.back) // what came between the last Collect and Want
	if m.holds.Len() == before && m.asked == 0 && m.pool.avail == 0 {
		b.evictMail()
		m.holds.Collect(m.back)
	}
	return m.pool.avail == 0
}

// dropMail accounts for a datagram that comes for nobody.
func (b *Backend) dropMail(c CQE) {
	if c.Res <= 0 || c.Flags&IORING_CQE_F_BUFFER == 0 || b.mail.pool == nil {
		return
	}
	data := b.mail.pool.take(c.Buffer(), int(c.Res), c.Flags)
	if data == nil {
		return
	}
	if r, ok := ParseReceived(data, nameSize, controlRoom(c.UserData>>kindShift)); ok {
		var m proactor.Msg
		sys.ReadControl(r.Control, 0, &m)
		sys.CloseFiles(m.Files)
	}
	b.mail.release(c.Buffer())
}
