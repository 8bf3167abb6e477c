package mobius

import (
	"log/slog"
	"time"

	"mobius/proactor"
)

// Options configure a [Reactor]. The zero value is the default of every field.
type Options struct {
	// Backend is the name of what does the I/O: "uring", "epoll" or "netpoll" on
	// Linux, "kqueue" on BSDs and macOS. "" and "auto" mean io_uring, or epoll
	// for all loops alike where the kernel refuses it, or kqueue. A backend asked
	// for by name is used or is New's error. Others, the simulator for one, come
	// through Open, which has no use for Backend.
	//
	// A loop on uring, epoll or kqueue has a thread of its own, in which it waits:
	// best for what is done in callbacks, by protocols and by the proxy. A
	// goroutine that such a loop wakes needs another thread, which costs 5 to 30
	// microseconds unless many are woken in one turn. A loop on netpoll is a
	// goroutine like others: epoll's engine, waiting in the network poller of Go's
	// runtime. It is best where most of the work is done by other goroutines, that
	// block in a connection or wait for the loop: there it costs less than package
	// net, and the others cost more (docs/decisions/0006-parked-loops.md).
	Backend string

	// Open, if not nil, makes each loop's backend instead, counted from 0; for
	// the simulator, the Open of a sim.Net.
	Open func(loop int) (proactor.Backend, error)

	// Direct is how many stream connections of each loop are kept without a
	// descriptor, in a table of its ring; 0, the default, means none. So many can
	// be had beyond the limit on descriptors (RLIMIT_NOFILE), each of which tables is
	// itself no larger than that. Accepting pauses before a table is full; then connects end with
	// ENFILE. It is uring's: with another backend, or on a kernel before Linux 6.13, it is New's
	// error. See uring.Options.Direct for what such connections lack, and
	// ListenOptions.ReusePort, by which a loop accepts into its own table.
	Direct int

	// Loops is how many loops there are; default 1, so that nothing two
	// connections share needs a lock. Each runs on a thread of its own, but
	// on netpoll.
	Loops int

	// Logger is told what cannot be returned to anybody: panics in protocols,
	// slow callbacks, why io_uring is not used, that GOMAXPROCS is too low for
	// so many loops with threads; and at level Debug, which ports, of streams and of datagrams,
	// and connectors begin and end. Default: slog.Default() as it is when New is called; to have nothing
	// logged, slog.New(slog.DiscardHandler).
	Logger *slog.Logger

	// Watchdog is how long one callback may run before it is logged, with its
	// stack. 0 means that nobody watches.
	Watchdog time.Duration

	// Calls is how many posted calls may wait on one loop, and how many calls
	// in threads for a thread; default 65,536.
	Calls int

	// Threads is how many calls in threads run at one time, until
	// SuggestThreadPoolSize says otherwise; default 10, as in Twisted.
	Threads int

	// Signals, if not nil, has the reactor handle signals of the process while
	// it runs; &Signals{} has SIGINT and SIGTERM stop it. Nil means none.
	Signals *Signals

	// StopTimeout is how long the loops wait at their end for operations to be
	// taken back from the kernel; default 10 s.
	StopTimeout time.Duration
}
