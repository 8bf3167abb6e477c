package sim

// An endState is how far the end of a stream has come.
type endState uint8

const (
	goesOn   endState = iota
	endSent           // the writer has ended, the reader does not know yet
	endThere          // everything before it may be read, then io.EOF
)

// A flow is one direction of a stream, at its reader: a queue of bytes of
// which the first have arrived and the others are still on their way.
type flow struct {
	buf     []byte // buf[off:] is the queue
	off     int
	arrived int // bytes that can be read
	limit   int // bytes in the queue at most: the two socket buffers
	last    int64
	end     endState
	stalled bool   // Stall has happened
	cutOff  bool   // a reset has come: what was on its way is lost
	read    uint64 // bytes read since the start
	marks   []mark // what travels with some of the bytes, in order
}

// A mark is what travels with the byte at a position of a unix stream.
type mark struct {
	at      uint64 // bytes before it since the start
	control []byte
	files   []int
}

// queued returns how many bytes are between writer and reader.
func (f *flow) queued() int { return len(f.buf) - f.off }

// room returns how many bytes the writer may add.
func (f *flow) room() int { return f.limit - f.queued() }

// put appends bytes to the queue; they have not arrived.
func (f *flow) put(p []byte) {
	if f.off > 0 && len(f.buf)+len(p) > cap(f.buf) {
		f.buf = f.buf[:copy(f.buf, f.buf[f.off:])]
		f.off = 0
	}
	f.buf = append(f.buf, p...)
}

// readable returns how many bytes one read may take: those that have arrived,
// up to the next mark, since a kernel does not join what came with different
// control data (unix(7)).
func (f *flow) readable() int {
	n := f.arrived
	for _, m := range f.marks {
		if m.at > f.read {
			return min(n, int(m.at-f.read))
		}
	}
	return n
}

// take moves len(p) bytes, which have arrived, into p.
func (f *flow) take(p []byte) {
	copy(p, f.buf[f.off:])
	f.off += len(p)
	f.arrived -= len(p)
	f.read += uint64(len(p))
	if f.off == len(f.buf) {
		f.buf, f.off = f.buf[:0], 0
	}
}

// mark removes and returns the mark at the reading position, if there is one.
func (f *flow) mark() (m mark, ok bool) {
	if len(f.marks) == 0 || f.marks[0].at != f.read {
		return mark{}, false
	}
	m = f.marks[0]
	f.marks = f.marks[1:]
	return m, true
}
