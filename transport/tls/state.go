package tls

import "time"

// A state is where a layer is in its life.
//
//	shaking  ──handshake complete────────────────▶ open
//	open     ──close_notify, HalfCloser──────────▶ readDone
//	open     ──LoseWriteConnection───────────────▶ shut
//	readDone ──LoseWriteConnection───────────────▶ shut
//	shut     ──close_notify, and ours is sent────▶ closing
//	open, readDone, shut ──LoseConnection, close_notify (others), an error, no close_notify──▶ closing
//	shaking  ──failure───────────────────────────▶ closing, the alert being flushed
//	shaking  ──LoseConnection────────────────────▶ shaking with noWrites, if something was written; else aborted
//	all      ──AbortConnection, deadline, panic──▶ closing, the transport below being aborted
//	closing  ──the transport below has ended─────▶ dead
type state uint8

const (
	shaking  state = iota // the handshake is in progress; what is written is kept
	open                  // both directions are
	readDone              // the peer has sent its close_notify, the protocol goes on writing
	shut                  // ours follows what is written; reading goes on
	closing               // the end is decided; ours follows what is written; input is dropped
	dead                  // after the end
)

// A stateSet is a set of states.
type stateSet uint8

func (s state) in(set stateSet) bool { return set>>s&1 != 0 }

// What may happen in which state.
const (
	writable stateSet = 1<<shaking | 1<<open | 1<<readDone
	delivers stateSet = 1<<open | 1<<shut       // DataReceived is called
	alive    stateSet = 1<<closing - 1<<shaking // the end is not decided
	seals    stateSet = 1<<dead - 1<<open       // written bytes can be sealed
)

// arm begins a patience of d.
func (y *layer) arm(d time.Duration) {
	y.timer.Stop()
	y.looked = y.progress()
	if d > 0 {
		y.l.Start(&y.timer, d)
	}
}

// progress returns a number that changes when output moves.
func (y *layer) progress() uint64 { return y.sealed<<20 ^ uint64(y.queue.Queued()) }
