package mobius

import "mobius/transport/descriptor"

// A FileDescriptor is told when its descriptor is ready; see
// [descriptor.FileDescriptor].
type FileDescriptor = descriptor.FileDescriptor

// ErrGone is the reason of a [FileDescriptor] whose FD has become another.
var ErrGone = descriptor.ErrGone

// AddReader has d.DoRead called while d's descriptor is readable: any that can
// be polled, and regular files, which are always ready. It is the first loop
// that watches and calls. The descriptor stays the caller's, and becomes
// O_NONBLOCK. A d that is a reader already changes nothing. Errors: see
// [descriptor.Set.AddReader]. (Twisted's IReactorFDSet.addReader.)
func (r *Reactor) AddReader(d FileDescriptor) error {
	return r.describe(func() error { return r.descriptors.AddReader(d) })
}

// AddWriter is AddReader for d.DoWrite.
func (r *Reactor) AddWriter(d FileDescriptor) error {
	return r.describe(func() error { return r.descriptors.AddWriter(d) })
}

// RemoveReader ends the calls of d.DoRead: on the first loop at once, else when
// it returns. It does nothing if d is no reader.
func (r *Reactor) RemoveReader(d FileDescriptor) error {
	return r.on(r.loops[0], func() { r.descriptors.RemoveReader(d) })
}

// RemoveWriter is RemoveReader for d.DoWrite.
func (r *Reactor) RemoveWriter(d FileDescriptor) error {
	return r.on(r.loops[0], func() { r.descriptors.RemoveWriter(d) })
}

// RemoveAll removes all readers and writers, and returns each once. Nobody is
// told.
func (r *Reactor) RemoveAll() []FileDescriptor { return r.listed(r.descriptors.RemoveAll) }

// Readers returns the readers, in the order in which they were added.
func (r *Reactor) Readers() []FileDescriptor { return r.listed(r.descriptors.Readers) }

// Writers returns the writers, in the order in which they were added.
func (r *Reactor) Writers() []FileDescriptor { return r.listed(r.descriptors.Writers) }

// describe runs f on the first loop and returns its error.
func (r *Reactor) describe(f func() error) error {
	var failed error
	if err := r.on(r.loops[0], func() { failed = f() }); err != nil {
		return err
	}
	return failed
}

// listed runs f on the first loop; a loop that has stopped watches nothing.
func (r *Reactor) listed(f func() []FileDescriptor) (all []FileDescriptor) {
	if r.on(r.loops[0], func() { all = f() }) != nil {
		return nil
	}
	return all
}
