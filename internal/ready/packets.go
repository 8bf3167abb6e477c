package ready

import (
	"mobius/internal/sys"
	"mobius/proactor"
)

// packets is where datagrams lie: buffers, each with room for the largest, of
// which a batch fills several. A slot of the batch keeps its buffer from one
// batch to the next, until somebody holds it.
type packets struct {
	size, limit int // bytes of a buffer, buffers at most
	mem         [][]byte
	free        []uint32 // neither in a slot nor held
	pinned      int      // held

	batch sys.Batch
	slots []uint32     // of the batch: 0 or the number of a buffer, plus 1
	op    *proactor.Op // whose datagrams these are
	at, n int          // slots[at:n] have not been delivered
}

func (p *packets) init(o Options) { p.size, p.limit = o.Datagram, o.Buffers }

// ready gives buffers to up to want slots, and returns how many have one.
func (p *packets) ready(want int, control bool) int {
	if p.batch.Len() == 0 {
		p.batch.Init(min(batchSize, p.limit))
		p.slots = make([]uint32, p.batch.Len())
	}
	want = min(want, len(p.slots))
	for i := range want {
		if p.slots[i] == 0 && !p.fill(i) {
			return i
		}
		p.batch.In(i, p.mem[p.slots[i]-1], control)
	}
	return want
}

// fill gives slot i a buffer, if there is one.
func (p *packets) fill(i int) bool {
	switch {
	case len(p.free) > 0:
		p.slots[i] = p.free[len(p.free)-1] + 1
		p.free = p.free[:len(p.free)-1]
	case len(p.mem) < p.limit:
		p.mem = append(p.mem, make([]byte, p.size))
		p.slots[i] = uint32(len(p.mem))
	default:
		return false
	}
	return true
}

// any reports whether a datagram can be received.
func (p *packets) any() bool { return p.pinned < p.limit }

// bytes returns what lies in slot i.
func (p *packets) bytes(i int) []byte {
	n := min(p.batch.Bytes(i), p.size)
	return p.mem[p.slots[i]-1][:n:n]
}

// take takes the buffer of slot i out of the batch, for a hold.
func (p *packets) take(i int) uint32 {
	index := p.slots[i] - 1
	p.slots[i] = 0
	p.pinned++
	return index
}

// release takes back a held buffer.
func (p *packets) release(index uint32) {
	p.pinned--
	p.free = append(p.free, index)
}

// crowded reports whether holds pin more than half of the buffers.
func (p *packets) crowded() bool { return p.pinned > (p.limit+1)/2 }

// drop closes the descriptors of datagrams that nobody will get.
func (p *packets) drop() {
	if p.op == nil || p.op.Msg == nil {
		return
	}
	for ; p.at < p.n; p.at++ {
		var m proactor.Msg
		p.batch.At(p.at).Told(&m)
		sys.CloseFiles(m.Files)
	}
}
