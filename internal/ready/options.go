package ready

import "time"

// Options are the limits of a backend. The zero value of each field means its
// default; tests use tiny ones.
type Options struct {
	Events      int // events taken from the kernel at once; default 32
	Buffers     int // lent buffers at most; default 64
	ReadBuffer  int // bytes of each, and of a read at most; default 256 KiB
	Datagram    int // bytes that a RecvFrom lends at most, of a datagram or of several joined; default 64 KiB
	Holds       int // live holds from which on the oldest are asked back; default 65536
	WriteBudget int // bytes that one write hands to the kernel at most; default 1 MiB
	WriteFrom   int // bytes from which on a loop writes its output without a Send; default 1
	Work        int // goroutines for OpWork at most; default 64
	WorkQueue   int // OpWorks that wait for one at most; default 4096
	Pipes       int // pipes for bulk relays at most; default 64, negative: none
	PipeSize    int // bytes of each; default 1 MiB, less if the kernel allows no more

	// Spin is for how long a loop that keeps its thread looks for events by itself before
	// it waits; for one that parks, the goroutine that waits for its proactor.Bell looks. By
	// default, 0, that is 50 µs, and only while it takes less processor time for what is done
	// than waiting does (with a Bell: at most a quarter more), which is measured, on Linux. A positive
	// Spin is kept whatever it costs: up to a processor for each loop. With a negative one it waits at once.
	Spin time.Duration
}

// The defaults of Options, and what is not worth an option.
const (
	// So few that a turn's sockets are still in the processor's cache when its
	// writes go out: with 512 an echo on 200 to 4,000 connections cost 10 to 80 %
	// more (bench/RESULTS.md). The wait is shared by 32, 10 ns each.
	defaultEvents = 32

	defaultBuffers     = 64
	defaultReadBuffer  = 256 << 10
	defaultDatagram    = 64 << 10
	defaultHolds       = 65536
	defaultWriteBudget = 1 << 20
	defaultPipes       = 64
	defaultPipeSize    = 1 << 20

	// acceptsPerTurn, readsPerTurn and writesPerTurn are how often one
	// descriptor may succeed before the others have their turn.
	acceptsPerTurn = 64
	readsPerTurn   = 4
	writesPerTurn  = 16
	batchesPerTurn = 4

	// batchSize is how many datagrams one system call sends or receives.
	batchSize = 16
)

// withDefaults returns o with its zero fields set.
func (o Options) withDefaults() Options {
	set := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	set(&o.Events, defaultEvents)
	set(&o.Buffers, defaultBuffers)
	set(&o.ReadBuffer, defaultReadBuffer)
	set(&o.Datagram, defaultDatagram)
	set(&o.Holds, defaultHolds)
	set(&o.WriteBudget, defaultWriteBudget)
	set(&o.WriteFrom, 1)
	set(&o.Pipes, defaultPipes)
	set(&o.PipeSize, defaultPipeSize)
	return o
}
