package stress

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"mobius"
	"mobius/internal/testenv"
)

// 10,000 connections, 2,000 at a time, each with a number of its own, which
// alone comes back: none is lost, none is there twice.
func TestBurstOfConnections(t *testing.T) {
	each(t, func(s *site) {
		var e end
		port := s.listen(func() mobius.Protocol { return &echo{end: &e} }, mobius.ListenOptions{})
		n := s.amount(10_000)
		s.together(n, 2000, func(i int) error {
			c, err := dial(port.Addr().String())
			if err != nil {
				return err
			}
			defer c.Close()
			return says(c, binary.BigEndian.AppendUint64(nil, uint64(i)))
		})
		e.all(s, int64(n))
		if made := e.made.Load(); made != int64(n) {
			s.Errorf("%d connections were accepted, %d made", made, n)
		}
	})
}

// 500 connections have something to read in the same moment.
func TestReadyAtOnce(t *testing.T) {
	each(t, func(s *site) {
		var e end
		port := s.listen(func() mobius.Protocol { return &echo{end: &e} }, mobius.ListenOptions{})
		const n = 500
		var conns [n]*net.TCPConn
		for i := range conns {
			c, err := dial(port.Addr().String())
			if err != nil {
				s.Fatal(err)
			}
			defer c.Close()
			conns[i] = c
		}
		hold, held := make(chan struct{}), make(chan struct{}, len(s.Loops()))
		for _, l := range s.Loops() {
			if err := l.Call(func() { held <- struct{}{}; <-hold }); err != nil {
				s.Fatal(err)
			}
		}
		for range s.Loops() {
			<-held
		}
		text := make([]byte, 1000)
		for _, c := range conns {
			if _, err := c.Write(text); err != nil {
				s.Fatal(err)
			}
		}
		close(hold)
		for i, c := range conns {
			if _, err := io.ReadFull(c, text); err != nil {
				s.Fatalf("connection %d: %v", i, err)
			}
			_ = c.Close()
		}
		e.all(s, n)
	})
}

// Descriptor numbers come back at once, and connections never meet each other's
// bytes: 100,000 short lives on few numbers, if there is time.
func TestNumbersAreUsedAgain(t *testing.T) {
	each(t, func(s *site) {
		var e end
		port := s.listen(func() mobius.Protocol { return &echo{end: &e} }, mobius.ListenOptions{})
		n := s.amount(10_000)
		if testenv.Long() {
			n = 100_000
		}
		s.together(n, 32, func(i int) error { return visit(port.Addr().String(), i) })
		e.all(s, int64(n))
	})
}

// A port that stops while clients keep coming refuses them from then on; those
// that were in its backlog, or on their way into the program, leave nothing behind.
func TestStopAmidConnections(t *testing.T) {
	each(t, func(s *site) {
		for range 20 {
			var e end
			port := s.listen(func() mobius.Protocol { return &echo{end: &e} }, mobius.ListenOptions{})
			addr := port.Addr().String()
			var stop atomic.Bool
			over := make(chan struct{})
			go func() {
				defer close(over)
				for !stop.Load() {
					if c, err := net.Dial("tcp", addr); err == nil {
						_ = c.(*net.TCPConn).SetLinger(0)
						_ = c.Close()
					}
				}
			}()
			testenv.Eventually(s, patience(), "one has come", func() bool { return e.made.Load() > 0 })
			stopped := make(chan error, 1)
			s.ask(func() { port.StopListening().Then(func(_ struct{}, err error) { stopped <- err }) })
			if err := <-stopped; err != nil {
				s.Error(err)
			}
			if c, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
				s.Errorf("a port that has stopped: %v", err)
				if err == nil {
					_ = c.Close()
				}
			}
			stop.Store(true)
			<-over
			e.all(s, 1)
		}
	})
}
