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

// until runs f with a deadline that passes when stop is closed, and returns
// whether it did.
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
	until(stop, e.listener.SetDeadline, func() {
		for {
			c, err := e.listener.Accept()
			if err != nil {
				b.tell(result{op: op, err: plain(err)})
				return
			}
			b.mu.Lock()
			h := b.add(&entry{conn: c.(stream)})
			b.push(result{op: op, new: h, peer: proactor.FromNetAddr(c.RemoteAddr()), more: true})
			b.mu.Unlock()
		}
	})
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
	left := b.ops[op].left
	b.mu.Unlock()
	until(stop, e.conn.SetReadDeadline, func() {
		credit := make(chan struct{}, 1)
		for {
			buf := make([]byte, 16<<10)
			if op.Limit > 0 {
				buf = buf[:min(len(buf), left)]
			}
			n, err := e.conn.Read(buf)
			if n > 0 {
				left -= n
				b.tell(result{op: op, n: n, buf: buf[:n], more: true, credit: credit})
				if op.Limit > 0 && left == 0 {
					return
				}
				select { // no more until these have been delivered
				case <-credit:
				case <-stop:
				}
			}
			if err != nil {
				b.tell(result{op: op, err: plain(err)})
				return
			}
		}
	})
}

func (b *Backend) send(op *proactor.Op, e *entry, stop <-chan struct{}) {
	until(stop, e.conn.SetWriteDeadline, func() {
		total := 0
		var err error
		for i := -1; i < len(op.Bufs) && err == nil; i++ {
			p := op.Buf
			if i >= 0 {
				p = op.Bufs[i]
			}
			var n int
			n, err = e.conn.Write(p)
			total += n
		}
		b.tell(result{op: op, n: total, err: plain(err)})
	})
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
