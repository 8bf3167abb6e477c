package ready

import "mobius/proactor"

// Close implements proactor.Backend. The kernel works on nothing between
// calls, so there is nothing to wait for; the Funcs of OpWorks that are
// running end by themselves and are not heard of any more.
func (b *Backend) Close() error {
	if b.closed {
		return nil
	}
	if b.owner.others() {
		return proactor.ErrWrongThread
	}
	b.closed = true
	b.workers.Close()
	for op := range b.parcels {
		b.unpack(op)
	}
	if b.lender.packets.op != nil && b.inside == nil {
		b.lender.packets.drop() // a panic has left them
	}
	err := b.waker.close()
	b.pipes.Close()
	b.CloseAll()
	return err
}
