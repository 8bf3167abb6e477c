package descriptor

import (
	"cmp"
	"slices"

	"mobius/loop"
	"mobius/proactor"
)

// A Set is the descriptors that one loop watches. Make one with [NewSet].
type Set struct {
	l       *loop.Loop
	watches map[FileDescriptor]*watch
	leaving int    // watches taken out whose operation has not ended
	count   uint64 // watches made so far
	member  loop.Member
}

// NewSet returns an empty set of l.
func NewSet(l *loop.Loop) *Set {
	s := &Set{l: l, watches: map[FileDescriptor]*watch{}}
	s.member.Owner = (*setEvents)(s)
	return s
}

// AddReader has d.DoRead called while d's descriptor is readable. It does
// nothing if d is a reader already. Errors: loop.ErrStopped, EBADF if there is
// no such descriptor, EPROTONOSUPPORT for kinds of socket that the backends do
// not know.
func (s *Set) AddReader(d FileDescriptor) error { return s.add(d, proactor.Readable) }

// AddWriter is AddReader for DoWrite.
func (s *Set) AddWriter(d FileDescriptor) error { return s.add(d, proactor.Writable) }

func (s *Set) add(d FileDescriptor, e proactor.Events) error {
	if s.l.Ending() {
		return loop.ErrStopped
	}
	if w := s.watches[d]; w != nil {
		w.want(w.events | e)
		return nil
	}
	w := &watch{set: s, d: d, fd: d.FD(), events: e}
	if err := w.open(); err != nil {
		return err
	}
	s.count++
	w.number = s.count
	s.watches[d] = w
	s.l.Join(&s.member)
	w.arm()
	return nil
}

// RemoveReader ends the calls of d.DoRead at once. It does nothing if d is no
// reader.
func (s *Set) RemoveReader(d FileDescriptor) { s.remove(d, proactor.Readable) }

// RemoveWriter ends the calls of d.DoWrite at once. It does nothing if d is no
// writer.
func (s *Set) RemoveWriter(d FileDescriptor) { s.remove(d, proactor.Writable) }

func (s *Set) remove(d FileDescriptor, e proactor.Events) {
	if w := s.watches[d]; w != nil {
		w.want(w.events &^ e)
	}
}

// RemoveAll removes all readers and writers, and returns each once, in the
// order in which they were added. Nobody is called.
func (s *Set) RemoveAll() []FileDescriptor {
	all := s.list(proactor.Readable | proactor.Writable)
	for _, d := range all {
		s.watches[d].want(0)
	}
	return all
}

// Readers returns the readers in the order in which they were added. What
// the loop itself waits for is none of them.
func (s *Set) Readers() []FileDescriptor { return s.list(proactor.Readable) }

// Writers returns the writers in the order in which they were added.
func (s *Set) Writers() []FileDescriptor { return s.list(proactor.Writable) }

func (s *Set) list(any proactor.Events) []FileDescriptor {
	var found []*watch
	for _, w := range s.watches {
		if w.events&any != 0 {
			found = append(found, w)
		}
	}
	slices.SortFunc(found, func(a, b *watch) int { return cmp.Compare(a.number, b.number) })
	all := make([]FileDescriptor, len(found))
	for i, w := range found {
		all[i] = w.d
	}
	return all
}

// settle leaves the loop when nothing is watched any more.
func (s *Set) settle() {
	if len(s.watches) == 0 && s.leaving == 0 {
		s.l.Leave(&s.member)
	}
}

// setEvents is a Set as its loop sees it.
type setEvents Set

// Fail tells everybody that the loop ends.
func (e *setEvents) Fail(err error) {
	s := (*Set)(e)
	for _, d := range s.list(proactor.Readable | proactor.Writable) {
		if w := s.watches[d]; w != nil {
			w.lose(err)
		}
	}
	s.settle()
}

// Finish does so when a loop's Shutdown begins: who drives descriptors of his
// own has no connection here that could end in good order.
func (e *setEvents) Finish() { e.Fail(loop.ErrStopped) }
