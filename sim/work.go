package sim

import "mobius/proactor"

// startWork draws when op's Func runs: real pools have other work to do.
func (b *Backend) startWork(op *proactor.Op) { b.lookAt(op, b.net.soon()) }

// performWork runs op's Func, inline and without the lock, and completes op.
func (b *Backend) performWork(op *proactor.Op) {
	func() {
		b.net.mu.Unlock()
		defer b.net.mu.Lock()
		op.Func()
	}()
	b.end(op, 0, nil)
}
