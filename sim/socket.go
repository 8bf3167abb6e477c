package sim

import (
	"syscall"

	"mobius/proactor"
)

// A sockKind says what a socket is.
type sockKind uint8

const (
	aStream sockKind = iota + 1
	aListener
	aPacket
	aChild
	aFile // a file that cannot be polled
)

// A linkState is where a stream socket is in its life, as its owner sees it.
//
//	fresh ──Connect──▶ linking ──accepted by the other kernel──▶ linked
//	                      │                                        │
//	                      └── refused, timed out ──▶ broken ◀── reset
//
// Any of them ends with CloseFD.
type linkState uint8

const (
	fresh linkState = iota
	linking
	linked
	broken // was reset: reads end, writes fail
)

// A socket is one end of something, of whichever kind.
type socket struct {
	net    *Net
	host   *Backend // whose it is; nil while only a descriptor names it, or nobody
	handle proactor.Handle
	id     uint32
	kind   sockKind
	link   linkState
	closed bool // by its owner
	stale  bool // its unix file outlives it
	refs   int  // names beside the first: duplicated descriptors

	local, remote proactor.Address
	opt           proactor.SocketOptions

	active int            // ops that are not idle
	pins   int            // zero-copy sends whose memory is still the kernel's
	reader *proactor.Op   // Accept, Recv, RecvFrom, Relay from here
	writer *proactor.Op   // Connect, Send, Relay to here
	polls  proactor.Queue // Poll ops that wait

	// Streams.
	peer    *socket
	rx      flow  // from the peer to here
	err     error // pending, told once (SO_ERROR)
	latency int64 // one way
	noWrite bool  // Shutdown was called
	linger  bool  // CloseFD shall reset
	sendDue bool  // an evSend is on the agenda
	roomDue bool  // an evRoom is on the agenda
	blocked bool  // a writer waits for room in the peer's rx

	listen  *listener // a listener's
	mail    *mailbox  // a datagram socket's
	child   *child    // a child's
	process *Process  // of the child that has this end of a pipe
}

func (n *Net) newSocket(kind sockKind) *socket {
	n.sockets++
	return &socket{net: n, kind: kind, id: n.sockets}
}

// fail returns the pending error and forgets it, as the kernel does.
func (s *socket) fail() error {
	err := s.err
	s.err = nil
	return err
}

// wakeReader has the op that reads from s looked at soon.
func (s *socket) wakeReader() {
	switch {
	case s.process != nil:
		s.process.wake()
	case s.reader != nil:
		s.host.look(s.reader)
	}
	s.wakePolls()
}

// wakeWriter does the same for the op that writes to s.
func (s *socket) wakeWriter() {
	s.blocked = false
	switch w := s.writer; {
	case s.process != nil:
		s.process.wake()
	case w == nil:
	case w.Kind == proactor.OpRelay:
		s.host.look(w)
	case !s.sendDue:
		s.pushOut()
	}
	s.wakePolls()
}

// join makes a and b the two ends of one stream.
func join(a, b *socket, latency int64) {
	a.peer, b.peer = b, a
	a.latency, b.latency = latency, latency
	a.rx.limit, b.rx.limit = room(a, b), room(b, a)
	b.link = linked
}

// room is how many bytes may be between the writer w and the reader r.
func room(r, w *socket) int {
	total := r.opt.RecvBuffer + w.opt.SendBuffer
	if r.opt.RecvBuffer == 0 && w.opt.SendBuffer == 0 {
		total = r.net.o.StreamBuffer
	}
	return max(total, 1)
}

// A place is one number in a backend's table of handles.
type place struct {
	token      proactor.Token
	sock       *socket
	generation uint32
}

// newHandle gives s a handle of b, or EMFILE at the limit.
func (b *Backend) newHandle(s *socket) (proactor.Handle, error) {
	if b.stats.Handles >= b.net.o.Handles {
		return 0, syscall.EMFILE
	}
	var index uint32
	if last := len(b.freePlaces) - 1; last >= 0 {
		// The number freed last is given out first, so that stale handles meet
		// another generation as often as possible.
		index = b.freePlaces[last]
		b.freePlaces = b.freePlaces[:last]
	} else {
		index = uint32(len(b.places))
		b.places = append(b.places, &place{})
	}
	p := b.places[index]
	p.generation++
	p.sock = s
	s.host, s.handle = b, proactor.MakeHandle(index, p.generation)
	p.token.Open(s.handle)
	b.stats.Handles++
	return s.handle, nil
}

// sock returns what h names, nil if h is stale.
func (b *Backend) sock(h proactor.Handle) *socket {
	if p := b.place(h); p != nil {
		return p.sock
	}
	return nil
}

func (b *Backend) place(h proactor.Handle) *place {
	if int(h.Index()) >= len(b.places) {
		return nil
	}
	p := b.places[h.Index()]
	if p.sock == nil || p.generation != h.Generation() {
		return nil
	}
	return p
}

// dropHandle ends s's handle.
func (b *Backend) dropHandle(s *socket) {
	p := b.places[s.handle.Index()]
	p.sock = nil
	b.freePlaces = append(b.freePlaces, s.handle.Index())
	b.stats.Handles--
	s.host, s.handle = nil, 0
}
