// Package ready turns readiness into completion: a proactor.Backend over a
// [Selector], which is epoll or kqueue.
//
// The selector only says that a descriptor may have become readable or
// writable. The engine remembers that, tries the operation that waits for it,
// and goes on trying until the kernel says EAGAIN, or until a short read has
// shown that nothing is left; what it delivers are results, as a ring would.
//
// A descriptor is registered once, when an operation first has to wait on it,
// edge-triggered in both directions, until it is closed. So a request costs
// one read, one write, and its share of one wait.
//
// What happens in a turn:
//
//	Poll ─▶ take back holds, finish work ─▶ flush: try what was submitted
//	                                            │ nothing completed
//	                                            ▼
//	        dispatch: try what is ready ◀─ Selector.Wait
package ready
