package sim

import "mobius/proactor"

// startPoll begins a Poll op: it completes at once if an event holds already.
func (b *Backend) startPoll(op *proactor.Op, s *socket) {
	if s.pollEvents(op.Events) != 0 {
		b.lookAt(op, b.net.soon())
		return
	}
	s.polls.Push(op)
}

// performPoll completes op if an event holds, else op goes on waiting.
func (b *Backend) performPoll(op *proactor.Op, s *socket) {
	events := s.pollEvents(op.Events)
	if events == 0 {
		s.polls.Push(op)
		return
	}
	op.Events = events
	b.end(op, 0, nil)
}

// pollEvents returns which of the events hold for s, and Failed if an error or
// a hang-up is pending.
func (s *socket) pollEvents(want proactor.Events) (got proactor.Events) {
	if want&proactor.Readable != 0 && s.readyToRead() {
		got |= proactor.Readable
	}
	if want&proactor.Writable != 0 && s.readyToWrite() {
		got |= proactor.Writable
	}
	if s.err != nil || s.link == broken || s.peer != nil && s.peer.process != nil && s.peer.closed {
		got |= proactor.Failed // the last: a pipe whose other end the child has closed (poll(2))
	}
	return got
}

// wakePolls has the Poll ops of s looked at again.
func (s *socket) wakePolls() {
	for count := s.polls.Len(); count > 0; count-- {
		s.host.push(s.polls.Pop())
	}
}
