package load

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"mobius/bench/result"
)

// A secure is the load of TLS: goroutines on crypto/tls and package net.
type secure struct {
	spec    *Spec
	pattern *pattern
	ctx     context.Context
	fail    context.CancelCauseFunc

	measuring, stopping atomic.Bool

	mu      sync.Mutex // held for what follows
	res     Result
	latency *result.Histogram
}

// secureConfig trusts whomever it meets: what is measured is not the trust. A
// session is never resumed, so that each handshake is a whole one.
func secureConfig() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func runTLS(spec *Spec, t *talk) (*Result, error) {
	ctx, fail := context.WithCancelCause(context.Background())
	defer fail(nil)
	s := &secure{spec: spec, pattern: newPattern(spec.Size * spec.Depth), ctx: ctx, fail: fail, latency: result.NewHistogram()}
	var conns []*tls.Conn
	if spec.Mode == Echo {
		for i := range spec.Conns {
			c, err := s.dial()
			if err != nil {
				return nil, errClosed(i, err)
			}
			conns = append(conns, c)
			defer c.NetConn().Close()
		}
	}
	if err := t.ask(eventReady); err != nil {
		return nil, err
	}
	var all sync.WaitGroup
	for i := range spec.Conns {
		all.Go(func() {
			var err error
			if spec.Mode == Echo {
				err = s.echo(i, conns[i])
			} else {
				err = s.shake(i)
			}
			if err != nil {
				fail(errClosed(i, err))
			}
		})
	}
	err := s.measure(t)
	s.stopping.Store(true)
	if err != nil {
		for _, c := range conns {
			c.NetConn().Close()
		}
	}
	all.Wait()
	s.res.Latency = s.latency
	return &s.res, errors.Join(err, context.Cause(ctx))
}

func (s *secure) dial() (*tls.Conn, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: s.spec.patience()}, Config: secureConfig()}
	c, err := d.DialContext(s.ctx, "tcp", s.spec.Address)
	if err != nil {
		return nil, err
	}
	return c.(*tls.Conn), nil
}

// measure takes the time.
func (s *secure) measure(t *talk) error {
	if err := s.wait(s.spec.Warmup); err != nil {
		return err
	}
	began := Monotonic()
	if err := t.say(eventBegin); err != nil {
		return err
	}
	s.measuring.Store(true)
	from, cpu := time.Now(), OwnCPU()
	if err := s.wait(s.spec.Duration); err != nil {
		return err
	}
	s.measuring.Store(false)
	s.mu.Lock()
	s.res.Began = began
	s.res.Elapsed, s.res.CPU = time.Since(from), OwnCPU()-cpu
	s.mu.Unlock()
	return t.ask(eventEnd)
}

// wait returns after d, or at once if the load has failed.
func (s *secure) wait(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// echo asks, Depth requests at a time, until the end.
func (s *secure) echo(i int, c *tls.Conn) error {
	pos, buf := s.pattern.start(i), make([]byte, s.spec.Size*s.spec.Depth)
	out := make([]byte, 0, len(buf))
	for !s.stopping.Load() && s.ctx.Err() == nil {
		out = out[:0]
		for len(out) < len(buf) {
			out = append(out, s.pattern.at(pos+uint64(len(out)), uint64(len(buf)-len(out)))...)
		}
		if err := s.exchange(c, out, buf, pos, time.Now(), s.spec.Depth); err != nil {
			return err
		}
		pos += uint64(len(buf))
	}
	return nil
}

// exchange asks once.
func (s *secure) exchange(c net.Conn, out, in []byte, pos uint64, began time.Time, requests int) error {
	if err := c.SetDeadline(time.Now().Add(s.spec.patience())); err != nil {
		return err
	}
	done := make(chan error, 1)
	if len(out) > 16<<10 { // more than the server has to take before it answers
		go func() { _, err := c.Write(out); done <- err }()
	} else {
		_, err := c.Write(out)
		done <- err
	}
	_, err := io.ReadFull(c, in)
	if err := errors.Join(<-done, err); err != nil {
		return err
	}
	bad := s.pattern.wrong(in, pos)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.res.Bad += bad
	if s.measuring.Load() {
		s.res.Requests += uint64(requests)
		s.res.Bytes += uint64(len(in))
		s.latency.Record(time.Since(began), int64(requests))
	}
	return nil
}

// shake connects, asks once and closes, again and again.
func (s *secure) shake(i int) error {
	pos, in := s.pattern.start(i), make([]byte, s.spec.Size)
	for !s.stopping.Load() && s.ctx.Err() == nil {
		began := time.Now()
		c, err := s.dial()
		if err != nil {
			return err
		}
		err = s.exchange(c, s.pattern.at(pos, uint64(len(in))), in, pos, began, 1)
		c.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
