package loop

// A Member is somebody whom the loop tells of its end: a connection, a
// listener, a connector. Embed it in its owner and Join the loop; that
// allocates nothing.
type Member struct {
	Owner interface {
		// Fail runs once, when the loop stops, with the reason: [ErrStopped],
		// [ErrGoexit], or the backend's error. The owner cancels its operations
		// and Leaves once they have ended: the loop goes on polling until then,
		// but runs no timers. It must not wait for anything but its own
		// operations.
		Fail(err error)
	}
	prev, next *Member
	list       *memberList
}

// A Finisher is a Member's owner that can end by itself in good order.
type Finisher interface {
	// Finish is called once when a Shutdown begins: a listener stops accepting,
	// a connection flushes and closes, an attempt to connect ends. Without it
	// the loop waits for the member to Leave, until Shutdown's limit.
	Finish()
}

// An Abandoner is a Member's owner that wants to know when no completion will
// come any more.
type Abandoner interface {
	// Abandon is called after Fail, if the backend failed, or if operations
	// outlasted Options.StopTimeout. The owner finishes its bookkeeping at once.
	Abandon(err error)
}

type memberList struct {
	head, tail *Member
	n          int
}

func (s *memberList) push(m *Member) {
	m.list, m.prev, m.next = s, s.tail, nil
	if s.tail == nil {
		s.head = m
	} else {
		s.tail.next = m
	}
	s.tail = m
	s.n++
}

func (s *memberList) remove(m *Member) {
	if m.prev == nil {
		s.head = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		s.tail = m.prev
	} else {
		m.next.prev = m.prev
	}
	m.list, m.prev, m.next = nil, nil, nil
	s.n--
}

// members are those of a loop, by what they have been told.
type members struct {
	live      memberList // nothing
	finishing memberList // Finish
	failed    memberList // Fail
	task      memberTask
}

// A memberTask is what tellMembers is at.
type memberTask uint8

const (
	failAll memberTask = iota
	finishAll
	abandonAll
)

// Join adds m to those who are told when the loop stops. If it is stopping
// already, m is told before the next poll. It does nothing if m has joined.
func (l *Loop) Join(m *Member) {
	l.check("Join")
	if m.list != nil {
		return
	}
	l.members.live.push(m)
}

// Leave takes m out. It does nothing if m is not in.
func (l *Loop) Leave(m *Member) {
	l.check("Leave")
	if m.list != nil {
		m.list.remove(m)
	}
}

// Members returns how many members the loop has.
func (l *Loop) Members() int { return l.members.live.n + l.members.finishing.n + l.members.failed.n }

// tell runs one task over the members.
func (l *Loop) tell(task memberTask) {
	l.members.task = task
	l.run(Stops)
}

// tellMembers is safe to go on with after a panic, since it moves each member
// to the list of those told before it calls it.
func (l *Loop) tellMembers() {
	s := &l.members
	switch s.task {
	case finishAll:
		for m := s.live.head; m != nil; m = s.live.head {
			l.move(m, &s.finishing)
			if f, ok := m.Owner.(Finisher); ok {
				f.Finish()
			}
		}
	case failAll:
		for m := s.unfailed(); m != nil; m = s.unfailed() {
			l.move(m, &s.failed)
			m.Owner.Fail(l.cause)
		}
	case abandonAll:
		for m := s.failed.head; m != nil; m = s.failed.head {
			l.move(m, nil)
			if a, ok := m.Owner.(Abandoner); ok {
				a.Abandon(l.cause)
			}
		}
	}
}

func (s *members) unfailed() *Member {
	if s.finishing.head != nil {
		return s.finishing.head
	}
	return s.live.head
}

func (l *Loop) move(m *Member, to *memberList) {
	m.list.remove(m)
	if to != nil {
		to.push(m)
	}
	l.dog.beat()
}
