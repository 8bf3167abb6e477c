package sim

import (
	"io"
	"iter"
	"syscall"
	"time"

	"mobius/proactor"
)

// A Program plays a child process: an ordinary function that reads, writes and
// sleeps by means of p, and returns its wait status (an exit status shifted
// left by 8, or the number of the signal that killed it; wait(2)). It runs as
// a coroutine of the simulation, one child at a time, and must call no method
// of a [Net] or a [Backend].
type Program func(p *Process) (status int)

// A Process is a child as its [Program] sees it.
type Process struct {
	net     *Net
	sock    *socket
	ends    []*socket // the child's ends of its pipes, in the order of Command.Pipes
	yield   func(struct{}) bool
	blocked bool // it waits for one of its pipes
}

// A child is the rest of a child's socket.
type child struct {
	process *Process
	next    func() (struct{}, bool)
	stop    func()
	exited  bool
	status  int
}

// killed unwinds a Program whose backend was closed.
type killed struct{}

// Spawn starts a child that Options.Spawn plays.
func (b *Backend) Spawn(c *proactor.Command) (proactor.Handle, []proactor.Handle, error) {
	if b.net.o.Spawn == nil {
		return 0, nil, syscall.ENOENT
	}
	program, err := b.net.o.Spawn(c)
	if err != nil {
		return 0, nil, err
	}
	n := b.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := b.mayOpen(); err != nil {
		return 0, nil, err
	}
	if b.stats.Handles+1+len(c.Pipes) > n.o.Handles {
		return 0, nil, syscall.EMFILE
	}
	s := n.newSocket(aChild)
	p := &Process{net: n, sock: s}
	var pipes []proactor.Handle
	for _, want := range c.Pipes {
		parent, mine := n.pair()
		if want.Write {
			mine.noWrite = true
			parent.rx.end = endThere
		} else {
			parent.noWrite = true
			mine.rx.end = endThere
		}
		mine.process = p
		p.ends = append(p.ends, mine)
		h, _ := b.newHandle(parent) // there is room, see above
		pipes = append(pipes, h)
	}
	h, _ := b.newHandle(s)
	s.child = &child{process: p}
	s.child.next, s.child.stop = iter.Pull(p.body(program))
	n.at(n.soon(), event{kind: evScript, sock: s})
	return h, pipes, nil
}

// body makes a coroutine of a program.
func (p *Process) body(program Program) iter.Seq[struct{}] {
	return func(yield func(struct{}) bool) {
		defer func() {
			if r := recover(); r != nil && r != any(killed{}) {
				panic(r)
			}
		}()
		p.yield = yield
		p.sock.child.status = program(p)
	}
}

// step lets the child go on until it waits again, or exits. It waits for one
// event at a time.
func (c *child) step(s *socket) {
	if c.exited {
		return
	}
	if _, more := c.next(); more {
		return
	}
	c.exit(s)
}

// exit closes the child's pipes and tells its parent.
func (c *child) exit(s *socket) {
	c.exited = true
	for _, end := range c.process.ends {
		if !end.closed {
			end.close()
		}
	}
	if s.reader != nil {
		s.host.finish(s.reader, c.status, nil)
	}
	s.wakePolls()
}

func (b *Backend) startChild(op *proactor.Op, s *socket) {
	if s.child == nil {
		b.finish(op, 0, syscall.ECHILD)
		return
	}
	s.takeReader(op)
	if s.child.exited {
		b.finishLater(op, s.child.status, nil, b.net.soon())
	}
}

// wait suspends the program until its next evScript.
func (p *Process) wait() {
	if !p.yield(struct{}{}) {
		panic(killed{})
	}
}

// block suspends the program until something happens on one of its pipes.
func (p *Process) block() {
	p.blocked = true
	p.wait()
}

// wake ends a block.
func (p *Process) wake() {
	if p.blocked {
		p.blocked = false
		p.net.at(p.net.soon(), event{kind: evScript, sock: p.sock})
	}
}

// Now returns the virtual time.
func (p *Process) Now() time.Duration { return time.Duration(p.net.now) }

// Sleep waits for d of virtual time.
func (p *Process) Sleep(d time.Duration) {
	p.net.at(p.net.now+int64(d), event{kind: evScript, sock: p.sock})
	p.wait()
}

// Read reads from the pipe with this index in Command.Pipes. It waits until
// there is something, or answers io.EOF.
func (p *Process) Read(pipe int, buf []byte) (int, error) {
	s := p.ends[pipe]
	for {
		if size := min(s.rx.readable(), len(buf)); size > 0 || len(buf) == 0 {
			s.takeIn(buf[:size])
			return size, nil
		}
		if s.rx.end == endThere || s.closed {
			return 0, io.EOF
		}
		p.block()
	}
}

// Write writes all of data to the pipe with this index in Command.Pipes, or
// answers EPIPE when the parent has closed it.
func (p *Process) Write(pipe int, data []byte) (int, error) {
	s := p.ends[pipe]
	done := 0
	for done < len(data) {
		if s.closed || s.writeError() != nil {
			return done, syscall.EPIPE
		}
		if size := min(len(data)-done, s.peer.rx.room()); size > 0 {
			s.put(data[done : done+size])
			s.dispatch(size)
			done += size
			continue
		}
		s.blocked = true
		p.block()
	}
	return done, nil
}

// Close closes the child's end of a pipe.
func (p *Process) Close(pipe int) {
	if !p.ends[pipe].closed {
		p.ends[pipe].close()
	}
}
