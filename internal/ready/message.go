package ready

import (
	"errors"

	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

// A parcel is what an op has to send beside its bytes: duplicates of its
// descriptors, until the kernel has taken them, or why there are none.
type parcel struct {
	files []int
	err   error
}

// hasParcel, in an op's B.Flags, says that there is a parcel of it.
const hasParcel uint8 = 1

// pack duplicates the descriptors that op, which was just submitted, sends.
func (b *Backend) pack(op *proactor.Op) {
	if op.Msg == nil || len(op.Msg.Files) == 0 || op.Kind != proactor.OpSend && op.Kind != proactor.OpSendTo {
		return
	}
	files, err := sys.DupFiles(nil, op.Msg.Files)
	if b.parcels == nil {
		b.parcels = make(map[*proactor.Op]parcel)
	}
	b.parcels[op] = parcel{files, err}
	op.B.Flags |= hasParcel
}

// unpack closes what op still has to send: the kernel has its own, or op has ended.
func (b *Backend) unpack(op *proactor.Op) {
	if op.B.Flags&hasParcel != 0 {
		op.B.Flags &^= hasParcel
		sys.CloseFiles(b.parcels[op].files)
		delete(b.parcels, op)
	}
}

// parcel returns the descriptors that op sends, or why it cannot.
func (b *Backend) parcel(op *proactor.Op) ([]int, error) {
	if op.B.Flags&hasParcel == 0 {
		return nil, nil
	}
	p := b.parcels[op]
	return p.files, p.err
}

// sendMsg makes the first write of a Send with a Msg, which carries it.
func (b *Backend) sendMsg(d *desc, op *proactor.Op) (int, unix.Errno) {
	files, err := b.parcel(op)
	if err == nil && d.kind != sys.Stream {
		if err = unix.EOPNOTSUPP; op.Msg.Info.Has == 0 && len(op.Msg.Control)+len(files) == 0 {
			return b.vectors.Write(int(d.handle.Index()), d.kind, op, &d.cursor, b.o.WriteBudget)
		}
	}
	n := 0
	if err == nil {
		n, err = b.message.Write(b.Lookup(d.handle), op, &d.cursor, b.o.WriteBudget, files)
	}
	if err != nil {
		return 0, number(err)
	}
	b.unpack(op)
	return n, 0
}

// read makes one read into room, with op.Msg's part if it is asked for.
func (b *Backend) read(d *desc, op *proactor.Op, room []byte) (int, unix.Errno) {
	if op.Msg == nil || d.domain != unix.AF_UNIX || d.kind != sys.Stream {
		return sys.Read(int(d.handle.Index()), d.kind, room)
	}
	b.message.In(room, true)
	n, e := b.message.Receive(int(d.handle.Index()))
	b.message.Clear()
	if e == 0 {
		b.message.Told(op.Msg)
	}
	return n, e
}

// number returns the error number of what a message could not be made from.
func number(err error) unix.Errno {
	var e unix.Errno
	if errors.As(err, &e) {
		return e
	}
	return unix.EINVAL
}
