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

// pollEvents returns which of the events hold for s, and all of them with Failed
// if an error or a hang-up is pending.
func (s *socket) pollEvents(want proactor.Events) (got proactor.Events) {
	if want&proactor.Readable != 0 && s.readyToRead() {
		got |= proactor.Readable
	}
	if want&proactor.Writable != 0 && s.readyToWrite() {
		got |= proactor.Writable
	}
	if s.err != nil || s.link == broken || s.hungUp() {
		got |= want | proactor.Failed
	}
	return got
}

// hungUp reports whether poll(2) would say POLLHUP, or POLLERR of a pipe that
// nobody reads: both directions are over, or the other end of a pipe or of a
// unix socket is closed.
func (s *socket) hungUp() bool {
	switch {
	case s.kind != aStream || s.peer == nil:
		return false
	case s.peer.process != nil:
		return s.peer.closed
	case s.rx.end != endThere:
		return false
	}
	return s.noWrite || s.local.IsUnix() && s.peer.closed
}

// wakePolls has the Poll ops of s looked at again.
func (s *socket) wakePolls() {
	for count := s.polls.Len(); count > 0; count-- {
		s.host.push(s.polls.Pop())
	}
}
