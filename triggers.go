package mobius

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"mobius/loop"
)

// An Event is something that functions can be registered for, to be called
// when it happens: [Startup], [Shutdown], or what a program fires itself.
type Event string

// The reactor's own events.
const (
	// Startup happens when Run or the first Iterate begins. The reactor is
	// running, and hears signals, from phase During on.
	Startup Event = "startup"

	// Shutdown happens when the reactor was asked to stop. In phases Before and
	// Drain everything is as it was. Then the reactor is not running any more
	// and every connection is lost; phases During and After come after that.
	Shutdown Event = "shutdown"
)

// A Phase is a part of an event. They come in the order of the constants, and
// in each the functions in the order in which they were registered.
type Phase uint8

// The phases of an event. What functions of Before and of Drain return to be
// waited for is done before the next phase.
const (
	// Before is for what the event is about to change: at Shutdown for taking
	// no more work on.
	Before Phase = iota + 1

	// Drain is for what ends by itself once Before is over: at Shutdown for
	// letting the connections that are left come to their ends.
	Drain

	// During is for what belongs to the event.
	During

	// After is for what needs the event to be over.
	After
)

// String returns the phase's name.
func (p Phase) String() string {
	switch p {
	case Before:
		return "before"
	case Drain:
		return "drain"
	case During:
		return "during"
	case After:
		return "after"
	}
	return fmt.Sprintf("Phase(%d)", uint8(p))
}

// ErrNoTrigger answers the removal of a trigger that there is not, any more or
// at all.
var ErrNoTrigger = errors.New("mobius: no such trigger")

// A TriggerID stands for one registration of a function for an event. The zero
// value stands for none.
type TriggerID struct {
	of    *triggers
	event Event
	phase Phase
	n     uint64
}

// AddSystemEventTrigger registers f to be called in a phase of the next event
// of the name, once, on the first loop's goroutine. A panic of f is reported,
// and stops nothing. An unknown phase is an error, and so is [ErrStopped] once
// the reactor has stopped. Any goroutine. (Twisted's addSystemEventTrigger.)
func (r *Reactor) AddSystemEventTrigger(phase Phase, event Event, f func()) (TriggerID, error) {
	if phase < Before || phase > After {
		return TriggerID{}, fmt.Errorf("mobius: %v is no phase of an event, want Before, Drain, During or After", phase)
	}
	return r.addTrigger(phase, event, func() Awaitable { f(); return nil })
}

// AddSystemEventWait is [Reactor.AddSystemEventTrigger] for an f that returns
// what the event is to wait for, a [Future] of the first loop, or nil. Phases
// After and During wait for nothing: they are an error. If it fails, that is
// logged, and the event goes on.
func (r *Reactor) AddSystemEventWait(phase Phase, event Event, f func() Awaitable) (TriggerID, error) {
	if phase != Before && phase != Drain {
		return TriggerID{}, fmt.Errorf("mobius: phase %v of an event waits for nothing, want Before or Drain", phase)
	}
	return r.addTrigger(phase, event, f)
}

// RemoveSystemEventTrigger takes a registration back. [ErrNoTrigger] means that
// there is none: it was removed, has been called, or never was. One that was
// called in the phase that is under way is no error, but logged. Any goroutine.
func (r *Reactor) RemoveSystemEventTrigger(id TriggerID) error { return r.events.remove(id) }

// FireSystemEvent makes an event of the program's own happen: all functions
// that are registered for it are called, unless it is under way already. If
// there is nothing to wait for, they have been when it returns. The reactor's
// own events are an error. It is for the goroutine of the reactor's first loop,
// or for any before Run.
func (r *Reactor) FireSystemEvent(event Event) error {
	if event == Startup || event == Shutdown {
		return fmt.Errorf("mobius: the reactor fires %s itself: Run or Stop it", event)
	}
	r.events.fire(event, nil)
	return nil
}

func (r *Reactor) addTrigger(phase Phase, event Event, f func() Awaitable) (TriggerID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == over {
		return TriggerID{}, ErrStopped
	}
	return r.events.add(phase, event, f), nil
}

// triggers are what is registered for events.
type triggers struct {
	r *Reactor

	mu     sync.Mutex
	last   uint64 // number given
	events map[Event]*event
}

// An event is what is registered for one event, and how far that has come:
//
//	         fire                  nothing left to wait for
//	phase 0 ─────▶ Before ─▶ Drain ─▶ During ─▶ After ─▶ phase 0
//
// Its lists are guarded by triggers.mu, the rest is the first loop's.
type event struct {
	name    Event
	lists   [After + 1][]trigger // to be called
	called  map[uint64]struct{}  // in the phase under way
	phase   Phase                // under way; 0: none
	pending int                  // what this phase waits for
	firing  uint64               // counts; what an earlier firing waited for is nobody's
	inside  bool                 // advance is running
	cut     bool                 // nothing is waited for
	enter   func(e *event) bool  // may refuse to go on into the phase, until finish; or nil
}

type trigger struct {
	n uint64
	f func() Awaitable
}

// at returns the event of a name, made if need be. The lock is held.
func (s *triggers) at(name Event) *event {
	e := s.events[name]
	if e == nil {
		e = &event{name: name}
		s.events[name] = e
	}
	return e
}

func (s *triggers) add(phase Phase, name Event, f func() Awaitable) TriggerID {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	e := s.at(name)
	e.lists[phase] = append(e.lists[phase], trigger{s.last, f})
	return TriggerID{s, name, phase, s.last}
}

func (s *triggers) remove(id TriggerID) error {
	called, err := s.take(id)
	if called {
		s.r.log.Warn("a trigger is removed that has been called", "event", string(id.event), "phase", id.phase.String())
	}
	return err
}

// take removes a trigger, or reports that it was called in the phase under way.
func (s *triggers) take(id TriggerID) (called bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.events[id.event]
	if id.of != s || e == nil {
		return false, ErrNoTrigger
	}
	list := e.lists[id.phase]
	if i := slices.IndexFunc(list, func(t trigger) bool { return t.n == id.n }); i >= 0 {
		e.lists[id.phase] = slices.Delete(list, i, i+1)
		return false, nil
	}
	if _, called = e.called[id.n]; called {
		return true, nil
	}
	return false, ErrNoTrigger
}

// fire makes an event happen, unless it is under way.
func (s *triggers) fire(name Event, enter func(*event) bool) {
	s.mu.Lock()
	e := s.at(name)
	s.mu.Unlock()
	if e.phase == 0 {
		e.phase, e.pending, e.enter = Before, 0, enter
		e.firing++
		s.advance(e)
	}
}

// cutShort makes an event that is under way wait for nothing any more.
func (s *triggers) cutShort(name Event) {
	s.mu.Lock()
	e := s.at(name)
	s.mu.Unlock()
	e.cut = true
	s.advance(e)
}

// advance goes through the phases until one has to be waited for, or is not to
// be entered.
func (s *triggers) advance(e *event) {
	if e.inside {
		return
	}
	e.inside = true
	ended := false
	defer func() {
		e.inside = false
		if !ended && e.cut { // a Goexit in a trigger, at the loop's end: nobody else will go on
			s.advance(e)
		}
	}()
	for e.phase != 0 {
		if t, ok := s.next(e); ok {
			s.call(e, t)
			continue
		}
		if e.pending > 0 && !e.cut {
			break
		}
		s.leave(e)
		if e.phase != 0 && e.enter != nil && !e.enter(e) {
			break
		}
	}
	ended = true
}

// next takes the next trigger of the phase under way out.
func (s *triggers) next(e *event) (trigger, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := e.lists[e.phase]
	if len(list) == 0 {
		return trigger{}, false
	}
	t := list[0]
	e.lists[e.phase] = slices.Delete(list, 0, 1)
	if e.called == nil {
		e.called = map[uint64]struct{}{}
	}
	e.called[t.n] = struct{}{}
	return t, true
}

// leave ends the phase under way.
func (s *triggers) leave(e *event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.called, e.pending = nil, 0
	if e.phase++; e.phase <= After {
		return
	}
	e.phase = 0
	for _, list := range e.lists {
		if len(list) > 0 {
			return
		}
	}
	delete(s.events, e.name)
}

// call calls one trigger, and reports its panic.
func (s *triggers) call(e *event, t trigger) {
	done := func() {}
	defer func() {
		if v := recover(); v != nil {
			s.r.loops[0].Report(loop.Trouble{Kind: loop.Panicked, Phase: loop.Triggers, Value: v, Stack: debug.Stack()})
			done()
		}
	}()
	later := t.f()
	if later == nil {
		return
	}
	done = s.hold(e)
	later.Finally(func(err error) {
		if err != nil {
			s.r.log.Warn("what an event waits for failed", "event", string(e.name), "error", err)
		}
		done()
	})
}

// hold makes the phase under way wait until done is called, on the first loop.
func (s *triggers) hold(e *event) (done func()) {
	e.pending++
	firing, phase, over := e.firing, e.phase, false
	return func() {
		if over || e.firing != firing || e.phase != phase {
			return
		}
		over = true
		if e.pending--; e.pending == 0 {
			s.advance(e)
		}
	}
}

// finish goes through what is left of an event, all of it if it is not under
// way, without waiting for anything.
func (s *triggers) finish(name Event) {
	s.mu.Lock()
	e := s.at(name)
	s.mu.Unlock()
	e.cut, e.enter = true, nil
	if e.phase == 0 {
		s.fire(name, nil)
		return
	}
	s.advance(e)
}

// reset takes all events that are under way as not having happened: what they
// have not called is left for their next time.
func (s *triggers) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		e.phase, e.called = 0, nil
		e.firing++
	}
}
