//go:build linux

package load

import (
	"bytes"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxHeader bounds the header of an HTTP response, in bytes.
const maxHeader = 16 << 10

// A getter asks an HTTP/1.1 server for [Bytes], Depth requests at a time on one
// connection (pipelined), and checks status, length and every byte.
type getter struct {
	queue
	fd       int
	requests []byte // as many as may be in flight
	each     int    // bytes of one
	sent     int64  // bytes
	header   []byte // what came of a header
	missing  int    // bytes of a body that are still to come, while inBody
	at       int    // how many of its bytes came
	inBody   bool
	full     bool
	open     bool
}

func newGetter(e *engine, i int) (*getter, error) {
	fd, err := dial(e.spec, unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	if err := e.watch(fd, i); err != nil {
		unix.Close(fd)
		return nil, err
	}
	one := fmt.Sprintf("GET /bytes?n=%d HTTP/1.1\r\nHost: %s\r\n\r\n", e.spec.Size, e.spec.Address)
	return &getter{
		queue: newQueue(i, e.spec.Depth), fd: fd, requests: bytes.Repeat([]byte(one), e.spec.Depth), each: len(one), open: true,
	}, nil
}

func (g *getter) next(e *engine) error {
	g.due++
	return g.ask(e)
}

// ask starts the requests that there is room for.
func (g *getter) ask(e *engine) error {
	n := g.room(e)
	if n <= 0 {
		return nil
	}
	g.start(e, n)
	return g.flush()
}

func (g *getter) flush() error {
	for want := g.started * int64(g.each); g.sent < want && !g.full; {
		p := g.requests[g.sent%int64(g.each):]
		p = p[:min(want-g.sent, int64(len(p)))]
		n, err := transmit(g.fd, p)
		if err != nil {
			return errClosed(g.id, err)
		}
		g.sent += int64(max(n, 0))
		g.full = n < len(p)
	}
	return nil
}

func (g *getter) ready(e *engine, events uint32) error {
	if events&unix.EPOLLOUT != 0 && g.full {
		g.full = false
		if err := g.flush(); err != nil {
			return err
		}
	}
	if events&^unix.EPOLLOUT == 0 {
		return nil
	}
	for {
		n, err := receive(g.fd, e.buf)
		if n < 0 {
			return nil
		}
		if err != nil || n == 0 {
			return errClosed(g.id, err)
		}
		if e.measuring {
			e.res.Bytes += uint64(n)
		}
		if err := g.take(e, e.buf[:n]); err != nil {
			return err
		}
		if n < len(e.buf) {
			return nil
		}
	}
}

// take reads headers and bodies.
func (g *getter) take(e *engine, p []byte) error {
	for len(p) > 0 {
		if !g.inBody {
			rest, whole, err := g.readHeader(p)
			if err != nil || !whole {
				return err
			}
			if g.missing != e.spec.Size {
				return fmt.Errorf("load: connection %d: a body of %d bytes, want %d", g.id, g.missing, e.spec.Size)
			}
			p = rest
		}
		part := p[:min(len(p), g.missing)]
		e.res.Bad += e.pattern.wrong(part, uint64(g.at))
		g.at, g.missing, p = g.at+len(part), g.missing-len(part), p[len(part):]
		if g.missing > 0 {
			return nil
		}
		g.inBody = false
		if err := g.answered(e); err != nil {
			return err
		}
	}
	return nil
}

// answered counts a whole answer.
func (g *getter) answered(e *engine) error {
	g.at = 0
	if !g.waits() {
		e.res.Bad += uint64(e.spec.Size) // nobody has asked
		return nil
	}
	g.finish(e, e.now(), g.finished+1)
	return g.ask(e)
}

// readHeader takes what belongs to a header from p, and returns the rest.
func (g *getter) readHeader(p []byte) (rest []byte, whole bool, err error) {
	had := len(g.header)
	g.header = append(g.header, p[:min(len(p), maxHeader)]...)
	end := bytes.Index(g.header, []byte("\r\n\r\n"))
	if end < 0 {
		if len(g.header) >= maxHeader {
			return nil, false, fmt.Errorf("load: connection %d: a header of more than %d bytes", g.id, maxHeader)
		}
		return nil, false, nil
	}
	rest = p[end+4-had:]
	g.missing, err = contentLength(g.header[:end+2])
	if err != nil {
		return nil, false, errClosed(g.id, err)
	}
	g.header, g.inBody = g.header[:0], true
	return rest, true, nil
}

// contentLength reads a response's header.
func contentLength(header []byte) (int, error) {
	status, fields, _ := bytes.Cut(header, []byte("\r\n"))
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("status %q, want HTTP/1.1 200", status)
	}
	for line := range bytes.SplitSeq(fields, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("content-length")) {
			return strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	return 0, fmt.Errorf("a header without a Content-Length")
}

func (g *getter) end(e *engine) {
	if !g.open {
		return
	}
	g.open = false
	e.res.Bad += uint64((g.started-g.finished)*int64(e.spec.Size) - int64(g.at))
	g.queue.end(e, g.finished)
	unix.Close(g.fd)
}
