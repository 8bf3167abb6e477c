package ready

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

// A desc is what the engine knows of one descriptor. It stays with the number;
// handle says whose it is, 0 if nobody's.
type desc struct {
	handle  proactor.Handle
	in, out *proactor.Op // at work in either direction; a relay is in of one and out of another
	kind    sys.Kind
	domain  uint8
	bits    bits
	brief   bool       // its latest piece was a small one
	others  uint32     // Sends whose Released has not been called, active SendTo and Poll ops
	cursor  sys.Cursor // of the Send at work
	extra   *extra     // of those that have had a SendTo or a Poll; it stays with the number
}

// An extra is what a desc needs for ops of which there may be several.
type extra struct {
	sends  proactor.Queue // SendTo ops, in order
	polls  proactor.Queue // Poll ops that wait for an event
	listed bool           // the desc is in senders or in lateSenders
}

// more returns d's extra.
func (d *desc) more() *extra {
	if d.extra == nil {
		d.extra = &extra{}
	}
	return d.extra
}

// bits are what is known of a descriptor's readiness.
type bits uint8

const (
	mayRead    bits = 1 << iota // reading has not said EAGAIN since the last edge
	mayWrite                    // writing has not
	watched                     // the selector has it
	hungUp                      // the end is behind the bytes, without a further edge: read on until it is met
	exhaust                     // a short read proves nothing here: read on until EAGAIN
	always                      // cannot be watched, and never waits
	connecting                  // connect(2) has begun
	shared                      // adopted: other descriptors may name the same, here or elsewhere
)

// desc returns what is known of h's descriptor, nil if h is stale.
func (b *Backend) desc(h proactor.Handle) *desc {
	d := b.descs.At(h.Index())
	if d != nil && d.handle == h && h != 0 {
		return d
	}
	e := b.Lookup(h)
	if e == nil {
		return nil
	}
	d = b.descs.Grow(h.Index())
	d.close()
	d.kind, d.domain, d.bits = e.Kind, e.Domain, mayWrite
	d.name(h)
	if e.Kind != sys.Listener && e.Network != proactor.TCP {
		// A unix stream's read ends where descriptors were passed along
		// (unix(7)), a terminal's at the end of a line.
		d.bits |= exhaust
	}
	return d
}

// watch registers d, unless it is. What is ready already comes as an event.
func (b *Backend) watch(d *desc) error {
	if d.bits&watched != 0 {
		return nil
	}
	var err error
	if d.kind == sys.Child {
		err = b.selector.AddChild(d.handle, b.Lookup(d.handle).Process())
	} else {
		err = b.selector.Add(d.handle)
	}
	if err == ErrUnwatchable {
		d.bits |= always | exhaust | mayRead | mayWrite
		err = nil
	}
	if err == nil {
		d.bits |= watched
	}
	return err
}

// drained notes that reading said EAGAIN, or as good as that.
func (d *desc) drained() {
	if d.bits&always == 0 {
		d.bits &^= mayRead
	}
}

// flows reports whether bytes come and go: there is no Recv and no Send
// of a socket that listens, or of one for datagrams.
func (d *desc) flows() bool { return d.kind == sys.Stream || d.kind == sys.Other }

// close makes d nobody's. No guest has its token any more.
func (d *desc) close() {
	d.name(0)
	d.in, d.out, d.kind, d.domain, d.bits, d.brief, d.others, d.cursor = nil, nil, 0, 0, 0, false, 0, sys.Cursor{}
}

// name makes d h's, or nobody's if h is 0. Guests read the name; see TryWrite.
func (d *desc) name(h proactor.Handle) { atomic.StoreUint64((*uint64)(&d.handle), uint64(h)) }

// TryWrite implements proactor.Backend. One piece for a stream, as nearly all of the
// loop's own are, needs no memory that reading has not touched, and few frames; see [sys.Send]. A guest holds h's
// token, before the end of which d is not closed.
func (b *Backend) TryWrite(h proactor.Handle, bufs [][]byte) (int, error) {
	d := b.descs.At(h.Index())
	if len(bufs) != 1 || uint(len(bufs[0]))-1 >= sys.Quick || d == nil ||
		atomic.LoadUint64((*uint64)(&d.handle)) != uint64(h) || d.kind != sys.Stream {
		return b.Sockets.TryWrite(h, bufs)
	}
	n, e := sys.Send(int(h.Index()), bufs[0])
	if e != 0 {
		return sys.Tried(0, e)
	}
	return int(n), nil
}

// busy reports whether the descriptor must stay open.
func (d *desc) busy() bool { return d.in != nil || d.out != nil || d.others > 0 }

// CloseFD implements proactor.Sockets.
func (b *Backend) CloseFD(h proactor.Handle) error {
	if d := b.descs.At(h.Index()); d != nil && d.handle == h && h != 0 {
		if d.busy() {
			return proactor.ErrBusy
		}
		if d.bits&watched != 0 && (d.kind == sys.Child || d.bits&shared != 0) {
			// Closing a number does not end what a BSD knows of a process, nor what
			// epoll knows of a file that has other names (epoll(7), Questions and
			// answers): it would tell of that again and again, and refuse to watch
			// another duplicate that gets the same number.
			_ = b.selector.Remove(h)
		}
		defer d.close()
	}
	return b.Sockets.CloseFD(h)
}

// Adopt implements proactor.Sockets.
func (b *Backend) Adopt(fd int) (proactor.Handle, error) {
	h, err := b.Sockets.Adopt(fd)
	if err == nil {
		b.desc(h).bits |= shared
	}
	return h, err
}

// Detach implements proactor.Sockets.
func (b *Backend) Detach(h proactor.Handle) (int, error) {
	if d := b.descs.At(h.Index()); d != nil && d.handle == h && h != 0 {
		if d.busy() {
			return -1, proactor.ErrBusy
		}
		if d.bits&(watched|always) == watched {
			// One that its owner has closed is not there any more.
			if err := b.selector.Remove(h); err != nil && err != unix.ENOENT && err != unix.EBADF {
				return -1, err
			}
		}
		defer d.close()
	}
	return b.Sockets.Detach(h)
}
