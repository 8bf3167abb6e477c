package mobius

import (
	"fmt"

	"mobius/proactor"
	"mobius/transport"
	"mobius/transport/pipe"
)

// Stdio makes standard input and output, the descriptors 0 and 1, one
// transport, and gives it to p: pipes, terminals, files and sockets. It lives
// on the first loop. The transport works on duplicates, so 0 and 1 stay open when it
// is done, and what is written to them directly still arrives; they become
// O_NONBLOCK (fcntl(2)), also for those who share them. At the end of the input a
// protocol that is no HalfCloser has its output flushed, and loses the
// connection. One that is closed is an error that wraps EBADF; one that is open for
// the other direction only ends the transport with EBADF. (Twisted's StandardIO.)
func (r *Reactor) Stdio(p Protocol) (Transport, error) { return r.stdio(p, 0, 1) }

func (r *Reactor) stdio(p Protocol, in, out int) (Transport, error) {
	limits := pipe.Limits{
		High: transport.DefaultHighWater, Low: transport.DefaultLowWater, Hard: transport.DefaultHardLimit,
	}
	var t Transport
	l := r.loops[0]
	err := r.describe(func() error {
		if l.Ending() {
			return ErrStopped
		}
		from, err := copyOf(l, in)
		if err != nil {
			return fmt.Errorf("mobius: standard input, descriptor %d: %w", in, err)
		}
		to, err := copyOf(l, out)
		if err != nil {
			_ = l.Sockets().CloseFD(from)
			return fmt.Errorf("mobius: standard output, descriptor %d: %w", out, err)
		}
		t = pipe.Start(l, from, to, limits, p)
		return nil
	})
	return t, err
}

// copyOf returns a handle of a duplicate of fd.
func copyOf(l *Loop, fd int) (proactor.Handle, error) {
	own, err := l.Sockets().Duplicate(fd)
	if err != nil {
		return 0, err
	}
	h, err := l.Sockets().Adopt(own)
	if err != nil {
		_ = l.Sockets().Discard(own)
	}
	return h, err
}
