// Package oncompat is package ongnet with another import.
package oncompat

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"

	gnet "mobius/compat"
)

// A Server answers each line in capitals: "quit" by the end, "later" from another
// goroutine, "count" with the number of lines so far.
type Server struct {
	gnet.BuiltinEventEngine
	engine gnet.Engine
	booted chan struct{}
	ended  chan error

	mu     sync.Mutex
	closes []error
	ticks  int
	down   bool
}

// Start runs a server at an address such as "tcp://127.0.0.1:9000".
func Start(address string) *Server {
	s := &Server{booted: make(chan struct{}), ended: make(chan error, 1)}
	go func() {
		s.ended <- gnet.Run(s, address, gnet.WithTicker(true), gnet.WithReuseAddr(true), gnet.WithNumEventLoop(1))
	}()
	return s
}

// Booted is closed when the server listens, Ended has what Run returned.
func (s *Server) Booted() <-chan struct{} { return s.booted }

// Ended has what Run returned.
func (s *Server) Ended() <-chan error { return s.ended }

// Stop ends it.
func (s *Server) Stop(ctx context.Context) error { return s.engine.Stop(ctx) }

// Seen returns the ends of connections, the ticks, and whether it is shut down.
func (s *Server) Seen() (closes []error, ticks int, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(closes, s.closes...), s.ticks, s.down
}

// Connections returns how many there are.
func (s *Server) Connections() int { return s.engine.CountConnections() }

// OnBoot keeps the engine.
func (s *Server) OnBoot(eng gnet.Engine) gnet.Action {
	s.engine = eng
	close(s.booted)
	return gnet.None
}

// OnShutdown notes the end.
func (s *Server) OnShutdown(gnet.Engine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = true
}

// OnOpen greets.
func (s *Server) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(new(int))
	return []byte("hello\n"), gnet.None
}

// OnClose notes how a connection ended.
func (s *Server) OnClose(_ gnet.Conn, err error) gnet.Action {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closes = append(s.closes, err)
	return gnet.None
}

// OnTick counts.
func (s *Server) OnTick() (time.Duration, gnet.Action) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticks++
	return 10 * time.Millisecond, gnet.None
}

// OnTraffic answers the lines that are there, and leaves what is none yet.
func (s *Server) OnTraffic(c gnet.Conn) gnet.Action {
	for {
		all, err := c.Peek(-1)
		if err != nil {
			return gnet.Close
		}
		end := bytes.IndexByte(all, '\n')
		if end < 0 {
			return gnet.None
		}
		line, err := c.Next(end + 1)
		if err != nil || len(line) != end+1 {
			return gnet.Close
		}
		if action := s.answer(c, line[:end]); action != gnet.None {
			return action
		}
	}
}

func (s *Server) answer(c gnet.Conn, line []byte) gnet.Action {
	count := c.Context().(*int)
	*count++
	switch string(line) {
	case "quit":
		_, _ = c.Write([]byte("bye\n"))
		return gnet.Close
	case "short":
		_, err := c.Peek(c.InboundBuffered() + 1)
		if err == io.ErrShortBuffer {
			_, _ = io.WriteString(c, "short\n")
		}
	case "later":
		go func() { _ = c.AsyncWrite([]byte("now\n"), nil) }()
	case "count":
		_, _ = c.Writev([][]byte{bytes.Repeat([]byte("x"), *count), []byte("\n")})
	case "task":
		err := c.EventLoop().Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
			_, err := c.Write([]byte("done\n"))
			return err
		}))
		if err != nil {
			return gnet.Close
		}
	default:
		_, _ = c.Write(append(bytes.ToUpper(line), '\n'))
	}
	return gnet.None
}
