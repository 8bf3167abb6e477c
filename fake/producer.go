package fake

import "mobius/flow"

// A State is what a producer is doing.
//
//	producing ──pause──▶ paused ──resume──▶ producing
//	producing, paused ──stop──▶ stopped
type State uint8

// The states of a producer. It begins with Producing.
const (
	Producing State = iota
	Paused
	Stopped
)

// String returns the state in lower case.
func (s State) String() string { return [...]string{"producing", "paused", "stopped"}[s%3] }

// A PushProducer is a producer that only notes what it is told, and that bears
// no call that should not come: calls alternate, PauseProducing first, and
// nothing comes after StopProducing. (Twisted: StrictPushProducer.)
type PushProducer struct {
	// Fail is told of what should not have come; nil: it panics.
	Fail func(err error)

	// OnPause, OnResume and OnStop are called inside the calls, after State has
	// changed. They may be nil.
	OnPause, OnResume, OnStop func()

	state State
	calls int
}

// State returns what the producer is doing.
func (p *PushProducer) State() State { return p.state }

// Calls returns how many calls have come.
func (p *PushProducer) Calls() int { return p.calls }

// PauseProducing is misuse unless the producer is producing.
func (p *PushProducer) PauseProducing() { p.enter(Paused, Producing, "PauseProducing", p.OnPause) }

// ResumeProducing is misuse unless the producer is paused.
func (p *PushProducer) ResumeProducing() { p.enter(Producing, Paused, "ResumeProducing", p.OnResume) }

// StopProducing is misuse if the producer is stopped.
func (p *PushProducer) StopProducing() {
	from := p.state
	if from == Stopped {
		from = Producing // any other than the one it is in
	}
	p.enter(Stopped, from, "StopProducing", p.OnStop)
}

func (p *PushProducer) enter(to, from State, call string, then func()) {
	p.calls++
	if p.state != from {
		misuse(p.Fail, "%s of a producer that is %v", call, p.state)
		return
	}
	p.state = to
	if then != nil {
		then()
	}
}

var _ flow.PushProducer = (*PushProducer)(nil)
