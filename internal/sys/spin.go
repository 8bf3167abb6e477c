package sys

import "time"

const (
	// spinFor is how long a Spinner looks before it gives up: about what a sleep and
	// what follows from it cost where they cost most, on a virtual machine. A peer that
	// sleeps, too, takes 35 to 40 µs there to answer.
	spinFor = 50 * time.Microsecond

	// spinSpan is the number of waits after which a Spinner draws up a balance. It goes by
	// one for holdSpans of them, and by one against looking for fewer at first.
	spinSpan  = 128
	holdSpans = 64
	restSpans = 4

	// A completion counts as so many bytes of work, for loops that move none.
	completionWork = 64
)

// A Spinner has a loop look for news by itself for a moment before it sleeps in the
// kernel. Where the next request comes soon, as from a peer that answers at once, none of
// the two sleeps then, and that takes less processor time than it saves. Where it does
// not, the looking is in vain, or answers one by one what would have come together. So it
// measures: the thread's processor time for each unit of work, with and without.
//
//	             128 waits                cheaper
//	measuring ─────────────▶ trying ────────────────▶ looking
//	 ▲     ▲                   │                         │
//	 │     │                   │ dearer, or in vain      │ in vain, or
//	 │     │     so many waits ▼                         │ so many waits
//	 │     └──────────────── resting                     │
//	 └───────────────────────────────────────────────────┘
//
// It looks while trying and looking. The zero value is ready. One goroutine at a time.
type Spinner struct {
	// Fixed, if not 0, is how long it looks before each wait, whatever that costs;
	// if negative it never does.
	Fixed time.Duration

	// Roams is for goroutines that do not keep their thread: what was measured on two of
	// them tells nothing.
	Roams bool

	// Margin, if not 0, is by what factor looking may be dearer.
	Margin float64

	phase  spinPhase
	waits  int           // in this phase
	misses int           // in this span
	rest   int           // spans that the next resting takes
	cpu    time.Duration // the thread's, when the phase began
	work   uint64        // done by then
	thread int           // on which, if it roams
	asleep float64       // cost without looking
}

type spinPhase uint8

const (
	measuring spinPhase = iota
	trying
	looking
	resting
)

// Spin is called before a wait of at most timeout (negative: for ever). It reports
// true as soon as news does, and false if it is not worth looking, or if nothing came.
// work is how much the loop has done so far, as [Work] counts. news must not wait; it is called looks
// times between two looks at the clock, which costs as much as some thirty at a word of memory.
func (s *Spinner) Spin(timeout time.Duration, work uint64, looks int, news func() bool) bool {
	long := s.Fixed
	if long == 0 {
		long = spinFor
	}
	if long < 0 || timeout >= 0 && timeout < long {
		return false
	}
	if s.Fixed == 0 {
		if s.count(work); s.phase != trying && s.phase != looking {
			return false
		}
	}
	for start := time.Now(); ; {
		for range looks {
			if news() {
				return true
			}
		}
		if time.Since(start) >= long {
			s.misses++
			return false
		}
	}
}

// Work is what so many completions with so many bytes count.
func Work(completions, bytes uint64) uint64 { return completions*completionWork + bytes }

// count notes a wait, and goes over to another phase when it is time for that.
func (s *Spinner) count(work uint64) {
	if s.waits == 0 && s.phase <= trying {
		s.cpu, s.work = ThreadTime(), work
		if s.Roams {
			s.thread = ThreadID()
		}
	}
	s.waits++
	switch s.phase {
	case measuring:
		if s.waits > spinSpan {
			if s.asleep = s.cost(work); s.asleep > 0 && !s.strayed() {
				s.enter(trying)
			} else { // there is no clock, or it was another thread's
				s.giveUp()
			}
		}
	case trying:
		if s.misses > spinSpan/4 || s.waits > spinSpan && (s.strayed() || s.cost(work) > s.asleep*max(s.Margin, 1)) {
			s.giveUp()
		} else if s.waits > spinSpan {
			s.rest = 0
			s.enter(looking)
		}
	case looking:
		if s.misses > spinSpan/2 || s.waits > holdSpans*spinSpan {
			s.enter(measuring)
		} else if s.waits%spinSpan == 0 {
			s.misses = 0
		}
	case resting:
		if s.waits > s.rest*spinSpan {
			s.enter(measuring)
		}
	}
}

// giveUp has it rest for twice as long as the last time.
func (s *Spinner) giveUp() {
	s.rest = min(max(2*s.rest, restSpans), holdSpans)
	s.enter(resting)
}

// strayed reports whether the goroutine has another thread than when the phase began.
func (s *Spinner) strayed() bool { return s.Roams && s.thread != ThreadID() }

func (s *Spinner) enter(p spinPhase) { s.phase, s.waits, s.misses = p, 0, 0 }

// cost returns the processor time in ns that a unit of work has taken in this phase.
func (s *Spinner) cost(work uint64) float64 {
	return float64(ThreadTime()-s.cpu) / float64(max(work-s.work, 1))
}
