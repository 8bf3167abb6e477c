//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package netbackend

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"mobius/proactor"
)

// until runs f with a deadline that passes when stop is closed. What f has to
// say of the end of its op must wait until this has returned: the next op
// may set the deadline then.
func until(stop <-chan struct{}, deadline func(time.Time) error, f func()) {
	over, quit := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(quit)
		select {
		case <-stop:
			deadline(time.Unix(1, 0))
		case <-over:
		}
	}()
	f()
	close(over)
	<-quit
	deadline(time.Time{})
}

// plain returns err as the seam has it: io.EOF, an Errno, or one of proactor's.
func plain(err error) error {
	var no syscall.Errno
	switch {
	case err == nil, err == io.EOF:
		return err
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.Canceled):
		return proactor.ErrCanceled
	case errors.As(err, &no):
		return no
	case errors.Is(err, net.ErrClosed):
		return proactor.ErrClosed
	}
	return err
}

func (b *Backend) accept(op *proactor.Op, e *entry, stop <-chan struct{}) {
	var end error
	until(stop, e.listener.SetDeadline, func() {
		for {
			var c net.Conn
			if c, end = e.listener.Accept(); end != nil {
				return
			}
			b.mu.Lock()
			h := b.add(&entry{conn: c.(stream)})
			b.push(result{op: op, new: h, peer: proactor.FromNetAddr(c.RemoteAddr()), more: true})
			b.mu.Unlock()
		}
	})
	b.tell(result{op: op, err: plain(end)})
}

func (b *Backend) connect(op *proactor.Op, e *entry, stop <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	over := make(chan struct{})
	defer close(over)
	b.all.Go(func() {
		select {
		case <-stop:
			cancel()
		case <-over:
		}
	})
	d := net.Dialer{KeepAlive: -1}
	if e.options.Local.IsValid() {
		d.LocalAddr = tcpAddr(e.options.Local)
	}
	to := *op.Addr
	c, err := d.DialContext(ctx, to.Network(), dialText(to))
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		e.conn = c.(stream)
		if b.closed {
			e.shut()
		}
	}
	b.push(result{op: op, err: plain(err)})
}

func (b *Backend) recv(op *proactor.Op, e *entry, stop <-chan struct{}) {
	b.mu.Lock()
	left, limited := b.ops[op].left, op.Limit > 0 // op is the owner's again before this returns
	b.mu.Unlock()
	var last result
	until(stop, e.conn.SetReadDeadline, func() {
		credit := make(chan struct{}, 1)
		for {
			buf := make([]byte, 16<<10)
			if limited {
				buf = buf[:min(len(buf), left)]
			}
			n, err := e.conn.Read(buf)
			if n > 0 {
				got := result{op: op, n: n, buf: buf[:n], more: true, credit: credit}
				if left -= n; limited && left == 0 {
					last = got // deliver sees to it that it is
					return
				}
				b.tell(got)
				select { // no more until these have been delivered
				case <-credit:
				case <-stop:
				}
			}
			if err != nil {
				last = result{op: op, err: plain(err)}
				return
			}
		}
	})
	b.tell(last)
}

func (b *Backend) send(op *proactor.Op, e *entry, stop <-chan struct{}) {
	total := 0
	var err error
	until(stop, e.conn.SetWriteDeadline, func() {
		for i := -1; i < len(op.Bufs) && err == nil; i++ {
			p := op.Buf
			if i >= 0 {
				p = op.Bufs[i]
			}
			var n int
			n, err = e.conn.Write(p)
			total += n
		}
	})
	b.tell(result{op: op, n: total, err: plain(err)})
}

func (b *Backend) work(op *proactor.Op, _ *entry, stop <-chan struct{}) {
	select {
	case b.workers <- struct{}{}:
		op.Func()
		<-b.workers
		b.tell(result{op: op})
	case <-stop:
		b.tell(result{op: op, err: proactor.ErrCanceled})
	}
}
