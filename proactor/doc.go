// Package proactor is the seam between a loop and whatever performs its I/O.
//
// A [Backend] is handed operations and later completes them: completion
// outside, whatever it is inside. The contract stands at [Backend], as
// numbered sentences; test/backendtest has at least one test for each, and
// nothing above this package knows which backend it runs on.
//
// An [Op] is embedded in the object that wants its result. This is the whole
// of an echo:
//
//	type echo struct {
//		b          proactor.Backend
//		recv, send proactor.Op
//		hold       *proactor.Hold
//	}
//
//	func (e *echo) Complete(op *proactor.Op) {
//		switch {
//		case op == &e.recv && op.N > 0:
//			e.hold = e.b.Hold(op, e) // keep the bytes until they are sent
//			e.send.Buf = e.hold.Bytes
//			e.b.Submit(&e.send)
//		case op == &e.send:
//			e.hold.Release()
//		}
//	}
//
// (It forgets errors, a second piece that arrives before the first is sent,
// and Evict. Package transport is what does not.)
package proactor
