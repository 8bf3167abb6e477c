package twisted

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/test/backends"
	"mobius/transport"
)

// A scarce backend fails accepts as a test wants it.
type scarce struct {
	proactor.Backend
	fail  []error // of the accepts to come, one each
	ready []*proactor.Op
	errs  []error
}

func (b *scarce) Submit(op *proactor.Op) {
	if op.Kind != proactor.OpAccept || len(b.fail) == 0 {
		b.Backend.Submit(op)
		return
	}
	op.Begin()
	b.ready, b.errs = append(b.ready, op), append(b.errs, b.fail[0])
	b.fail = b.fail[1:]
}

func (b *scarce) Poll(timeout time.Duration) error {
	if len(b.ready) == 0 {
		return b.Backend.Poll(timeout)
	}
	ready, errs := b.ready, b.errs
	b.ready, b.errs = nil, nil
	if err := b.Backend.Poll(0); err != nil {
		return err
	}
	for i, op := range ready {
		op.Deliver(0, errs[i], false)
	}
	return nil
}

// survives checks that a port whose accept fails with err, three times in a
// row, accepts afterwards, and that an older connection is not touched. It
// returns what was reported.
func (s *scene) survives(b *scarce, err error) []loop.Trouble {
	s.Helper()
	old, oldClient := s.pair(s.silent("old"), s.silent("old client"))
	b.fail = []error{err, err, err}
	server, client := s.silent("server"), s.silent("client")
	p := s.listen(server)
	s.Until("it has failed", func() bool { return len(b.fail)+len(b.ready) == 0 })
	s.connect(p.Addr(), client)
	s.Until("a connection is accepted", func() bool { return len(server.made) == 1 && server.made[0].t != nil })
	oldClient.write("still there?")
	old.has(len("still there?"))
	return s.TakeTroubles()
}

// eachScarce runs f for each error, on every backend.
func eachScarce(t *testing.T, errs []error, f func(s *scene, b *scarce, err error)) {
	for _, err := range errs {
		t.Run(err.Error(), func(t *testing.T) {
			backends.Each(t, func(w *backends.World) {
				b := &scarce{Backend: w.Open()}
				f(&scene{World: w, l: w.LoopOn(b, loop.Options{}), wire: tcp4}, b, err)
			})
		})
	}
}

// Accept fails for want of descriptors or memory: it is reported, with address
// and errno; connections live on, and the port recovers. A connection that its
// client has given up is nobody's trouble: it is not reported.
func TestCase113AcceptFails(t *testing.T) {
	errs := []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED}
	eachScarce(t, errs, func(s *scene, b *scarce, err error) {
		reported := s.survives(b, err)
		if err == syscall.ECONNABORTED {
			if len(reported) != 0 {
				s.Errorf("reported %v", reported)
			}
			return
		}
		s.acceptReported(reported, err)
	})
}

func (s *scene) acceptReported(reported []loop.Trouble, err error) {
	s.Helper()
	if len(reported) != 1 {
		s.Fatalf("reported %v, want one for all", reported)
	}
	var e *transport.AcceptError
	cause, _ := reported[0].Value.(error)
	if reported[0].Kind != loop.AcceptFailed || !errors.As(cause, &e) || !errors.Is(cause, err) || !e.Addr.IsValid() {
		s.Errorf("reported %v, want %v with the port's address", reported[0], err)
	}
}

// Accept fails with an error that nobody knows: reported, and the port lives.
func TestCase115AcceptFailsStrangely(t *testing.T) {
	eachScarce(t, []error{syscall.EXDEV, errors.New("no errno at all")}, func(s *scene, b *scarce, err error) {
		s.acceptReported(s.survives(b, err), err)
	})
}

// Connections that were made and have ended on both sides leave nothing open.
func TestCase117SocketsAreClosed(t *testing.T) {
	eachHostile(t, func(s *scene) {
		before := s.l.Backend().Stats().Handles
		for _, end := range []func(transport.Transport){
			transport.Transport.LoseConnection, transport.Transport.AbortConnection, transport.Transport.LoseWriteConnection,
		} {
			a, b := s.pair(s.silent("server"), s.silent("client"))
			end(a.t)
			s.bothLost(a, b)
			c, d := s.pair(s.silent("server"), s.silent("client"))
			end(d.t)
			s.bothLost(c, d)
		}
		if after := s.l.Backend().Stats().Handles; after != before {
			s.Errorf("%d handles were open, %d are", before, after)
		}
		s.idle()
	})
}
