package transport

import (
	"runtime/debug"

	"mobius/loop"
	"mobius/proactor"
)

// A FileSender sends descriptors over a unix stream (SCM_RIGHTS, unix(7)):
// Twisted's IUNIXTransport. It is an ability of transports. Loop goroutine.
type FileSender interface {
	// SendFileDescriptor queues a copy of fd, which goes with the next bytes
	// that are sent; fd stays the caller's, who may close it at once. Each
	// needs a byte of its own that is written in the same turn: with fewer bytes
	// than descriptors at its end the connection is lost with [ErrFileOverrun].
	//
	// The errors are [ErrNotWritable] as with Write; [ErrFull] if 253 wait
	// already (of which the kernel takes at most as many at once);
	// proactor.ErrUnsupported if the connection is not one of unix sockets, or
	// a layer such as TLS stands on it; and that of dup(2). From 64 that wait on,
	// a [Drainer] is told to pause.
	SendFileDescriptor(fd int) error
}

// A FileReceiver is a protocol that takes descriptors: Twisted's
// IFileDescriptorReceiver. Descriptors for one that is none are dropped by the
// kernel, or closed: they never leak.
type FileReceiver interface {
	// FileDescriptorReceived delivers a descriptor, in the order in which they
	// were sent, and before the DataReceived of the bytes that carried it. It is
	// the protocol's own now, to close it or to give it to Sockets().Adopt of
	// its loop, and is not inherited by children (O_CLOEXEC).
	//
	// A PauseReading holds back descriptors as it does bytes; in the middle of
	// those that came together, the rest comes nonetheless.
	FileDescriptorReceived(fd int)
}

// The limits of descriptors that wait to be sent.
const (
	pauseFiles = 64
	maxFiles   = 253 // SCM_MAX_FD, unix(7)
)

// files are the descriptors of a connection, on their way.
type files struct {
	out     []int        // copies, to be sent with the next bytes
	msg     proactor.Msg // of the Send under way, if it carries any
	in      proactor.Msg // of the Recv
	parcels []parcel     // received, and kept for later
}

// A parcel is descriptors that wait for the bytes before them.
type parcel struct {
	ahead int // bytes of Conn.in that are delivered first
	fds   []int
}

// SendFileDescriptor implements [FileSender].
func (c *Conn) SendFileDescriptor(fd int) error {
	c.check()
	switch {
	case !c.state.in(writable):
		return ErrNotWritable
	case !c.isUnix() || c.flags.has(covered):
		return proactor.ErrUnsupported
	case c.filesQueued() >= maxFiles:
		return ErrFull
	}
	twin, err := c.l.Sockets().Duplicate(fd)
	if err != nil {
		return err
	}
	f := c.withFiles()
	f.out = append(f.out, twin)
	c.written()
	return nil
}

func (c *Conn) isUnix() bool { return c.local.IsUnix() || c.remote.IsUnix() }

func (c *Conn) withFiles() *files {
	r := c.seldom()
	if r.files == nil {
		r.files = new(files)
	}
	return r.files
}

// filesQueued returns how many descriptors wait to be sent.
func (c *Conn) filesQueued() int {
	if c.rare == nil || c.rare.files == nil {
		return 0
	}
	return len(c.rare.files.out)
}

// attach gives the descriptors that wait to the send that begins.
func (c *Conn) attach() {
	if c.filesQueued() > 0 {
		f := c.rare.files
		f.msg.Files = f.out
		c.send.Msg = &f.msg
	}
}

// detached takes the descriptors off a send that has ended, which the kernel
// has taken with the first byte.
func (c *Conn) detached(op *proactor.Op) {
	if op.Msg == nil {
		return
	}
	f := c.rare.files
	n := len(f.msg.Files)
	op.Msg, f.msg.Files = nil, nil
	if op.N > 0 {
		c.discard(f.out[:n])
		f.out = append(f.out[:0], f.out[n:]...)
	}
}

func (c *Conn) discard(fds []int) {
	for _, fd := range fds {
		_ = c.l.Sockets().Discard(fd)
	}
}

// takeFiles has the Recv bring descriptors, if the protocol takes them.
func (c *Conn) takeFiles() {
	if !c.isUnix() {
		return
	}
	if _, ok := As[FileReceiver](c.p); ok {
		c.recv.Msg = &c.withFiles().in
	}
}

// came returns the descriptors that came with what op has lent: the caller's.
func (c *Conn) came(op *proactor.Op) []int {
	if op.Msg == nil || len(op.Msg.Files) == 0 {
		return nil
	}
	fds := op.Msg.Files
	op.Msg.Files = nil
	return fds
}

// handFiles delivers descriptors. What the protocol does not want any more is
// closed.
func (c *Conn) handFiles(fds []int) {
	for i, fd := range fds {
		r, ok := As[FileReceiver](c.p)
		if !ok || !c.state.in(delivers) {
			c.discard(fds[i:])
			return
		}
		c.handFile(r, fd)
	}
}

func (c *Conn) handFile(r FileReceiver, fd int) {
	defer func() {
		if v := recover(); v != nil {
			c.l.Report(loop.Trouble{Kind: loop.Panicked, Value: v, Stack: debug.Stack()})
			c.die(Panicked, "protocol", &PanicError{Value: v})
		}
	}()
	r.FileDescriptorReceived(fd)
}

// keepFiles keeps descriptors until the bytes before them are delivered.
func (c *Conn) keepFiles(fds []int) {
	f := c.withFiles()
	f.parcels = append(f.parcels, parcel{ahead: c.in.n, fds: fds})
}

// handParcels delivers the descriptors before which no byte is left.
func (c *Conn) handParcels() {
	if c.rare == nil || c.rare.files == nil {
		return
	}
	f := c.rare.files
	for len(f.parcels) > 0 && f.parcels[0].ahead == 0 {
		fds := f.parcels[0].fds
		f.parcels = f.parcels[1:]
		c.handFiles(fds)
	}
}

// passed notes that n kept bytes are being delivered.
func (c *Conn) passed(n int) {
	if c.rare == nil || c.rare.files == nil {
		return
	}
	for i := range c.rare.files.parcels {
		c.rare.files.parcels[i].ahead -= n
	}
}

// dropParcels closes what was received but not delivered.
func (c *Conn) dropParcels() {
	if c.rare == nil || c.rare.files == nil {
		return
	}
	f := c.rare.files
	for _, p := range f.parcels {
		c.discard(p.fds)
	}
	f.parcels = nil
}

// dropFiles closes the copies that were not sent.
func (c *Conn) dropFiles() {
	if c.filesQueued() > 0 {
		c.discard(c.rare.files.out)
		c.rare.files.out = nil
	}
}
