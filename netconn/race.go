package netconn

import (
	"context"
	"net"
	"time"
)

// defaultFallback is net.Dialer's, from RFC 6555.
const defaultFallback = 300 * time.Millisecond

// minPart is what an address gets of the time at least, if there is so much.
const minPart = 2 * time.Second

// families parts addresses by family: that of the first one, and the other.
func families(all []target) (first, second []target) {
	for _, t := range all {
		if t.addr.IP().Is4() == all[0].addr.IP().Is4() {
			first = append(first, t)
		} else {
			second = append(second, t)
		}
	}
	return first, second
}

// A dialFunc tries one address.
type dialFunc func(ctx context.Context, to target) (net.Conn, error)

// serial tries addresses one after the other. Its error is the first one's.
func (d *Dialer) serial(ctx context.Context, all []target, one dialFunc) (net.Conn, error) {
	var first error
	for i, to := range all {
		each, cancel := part(ctx, len(all)-i)
		c, err := one(each, to)
		cancel()
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// part gives the next of n addresses its part of the time.
func part(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok || n == 1 {
		return ctx, func() {}
	}
	left := time.Until(end)
	return context.WithTimeout(ctx, max(left/time.Duration(n), min(left, minPart)))
}

// race tries the first family's addresses and, after FallbackDelay or when those
// have failed, the other's beside them. The first connection wins.
func (d *Dialer) race(ctx context.Context, first, second []target, one dialFunc) (net.Conn, error) {
	if len(second) == 0 {
		return d.serial(ctx, first, one)
	}
	type result struct {
		c       net.Conn
		err     error
		primary bool
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result)
	over := make(chan struct{})
	defer close(over)
	run := func(all []target, primary bool) {
		c, err := d.serial(ctx, all, one)
		select {
		case results <- result{c, err, primary}:
		case <-over:
			if c != nil {
				_ = c.Close()
			}
		}
	}
	delay := d.FallbackDelay
	if delay == 0 {
		delay = defaultFallback
	}
	go run(first, true)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	var failed error
	for running, begun := 1, false; ; {
		select {
		case <-timer.C:
			if !begun {
				begun = true
				running++
				go run(second, false)
			}
		case r := <-results:
			if r.err == nil {
				return r.c, nil
			}
			if r.primary {
				failed = r.err
			}
			running--
			if running == 0 && begun {
				return nil, failed
			}
			if !begun {
				timer.Reset(0)
			}
		}
	}
}
