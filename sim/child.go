package sim

import (
	"io"
	"slices"
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
	ends    []*socket // the child's: of its terminal, its pipes, in the order of Command.Pipes, its files
	gone    []bool    // which of them it has closed
	pid     int
	yield   func() bool
	blocked bool // it waits for one of its pipes
}

// A child is the rest of a child's socket.
type child struct {
	process *Process
	run     *coroutine
	exited  bool
	told    bool // an OpChild has completed
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
	if b.stats.Handles+2+len(c.Pipes) > n.o.Handles {
		return 0, nil, syscall.EMFILE
	}
	for _, f := range c.Files {
		if n.files[f.Parent] == nil {
			return 0, nil, syscall.EBADF
		}
	}
	s := n.newSocket(aChild)
	n.children++
	p := &Process{net: n, sock: s, pid: 2*firstPID + n.children}
	pipes := b.layOut(p, c)
	h, _ := b.newHandle(s)
	s.child = &child{process: p, run: newCoroutine(p.body(program))}
	n.at(n.soon(), event{kind: evScript, sock: s})
	return h, pipes, nil
}

// layOut makes the child's ends, and returns handles of the parent's. There is
// room for them.
func (b *Backend) layOut(p *Process, c *proactor.Command) (pipes []proactor.Handle) {
	add := func(mine, parent *socket) {
		mine.process = p
		p.ends, p.gone = append(p.ends, mine), append(p.gone, false)
		if parent != nil {
			h, _ := b.newHandle(parent)
			pipes = append(pipes, h)
		}
	}
	if c.PTY {
		parent, mine := b.net.pair()
		add(mine, parent)
	}
	for _, want := range c.Pipes {
		parent, mine := b.net.pair()
		if want.Write {
			mine.noWrite = true
			parent.rx.end = endThere
		} else {
			parent.noWrite = true
			mine.rx.end = endThere
		}
		add(mine, parent)
	}
	for _, f := range c.Files {
		s := b.net.files[f.Parent]
		s.refs++
		add(s, nil)
	}
	return pipes
}

// body makes a coroutine of a program.
func (p *Process) body(program Program) func(yield func() bool) {
	return func(yield func() bool) {
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
	if c.run.next() {
		return
	}
	c.exit(s)
}

// exit closes the child's pipes and tells its parent.
func (c *child) exit(s *socket) {
	c.exited = true
	for i := range c.process.ends {
		c.process.shut(i)
	}
	if s.reader != nil {
		s.host.finish(s.reader, c.status, nil)
		c.told = true
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
		s.child.told = true
		b.finishLater(op, s.child.status, nil, b.net.soon())
	}
}

// Signal sends a signal to a child. All kill it but those that do nothing
// unless they are caught (signal(7)), and those that stop it, which is not
// played.
func (b *Backend) Signal(h proactor.Handle, signal syscall.Signal) error {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	s, err := b.liveChild(h)
	if err != nil {
		return err
	}
	if signal < 0 || signal > 64 {
		return syscall.EINVAL
	}
	if signal == 0 || s.child.exited || slices.Contains(harmless[:], signal.String()) {
		return nil
	}
	b.net.at(b.net.soon(), event{kind: evScript, sock: s, n: int(signal)})
	return nil
}

// harmless are the signals that leave a child alive, by their names.
var harmless = [...]string{"child exited", "continued", "urgent I/O condition", "window changed",
	"stopped (signal)", "stopped", "stopped (tty input)", "stopped (tty output)",
	"window size changes", "suspended (signal)", "suspended"}

// ProcessID returns the number of a child.
func (b *Backend) ProcessID(h proactor.Handle) (int, error) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	s, err := b.liveChild(h)
	if err != nil {
		return 0, err
	}
	return s.child.process.pid, nil
}

// liveChild returns a child whose end nobody was told.
func (b *Backend) liveChild(h proactor.Handle) (*socket, error) {
	s := b.sock(h)
	switch {
	case s == nil:
		return nil, proactor.ErrClosed
	case s.child == nil:
		return nil, syscall.ECHILD
	case s.child.told:
		return nil, syscall.ESRCH
	}
	return s, nil
}

// kill ends the child by a signal.
func (c *child) kill(s *socket, signal int) {
	if c.exited {
		return
	}
	c.run.stop()
	c.status = signal
	c.exit(s)
}

// wait suspends the program until its next evScript.
func (p *Process) wait() {
	if !p.yield() {
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

// Read reads from the pipe with this index in Command.Pipes; the terminal, if
// there is one, comes before them, and Command.Files behind. It waits until
// there is something, or answers io.EOF.
func (p *Process) Read(pipe int, buf []byte) (int, error) {
	s := p.ends[pipe]
	for {
		if size := min(s.rx.readable(), len(buf)); size > 0 || len(buf) == 0 {
			s.takeIn(buf[:size])
			return size, nil
		}
		if s.rx.end == endThere || p.gone[pipe] {
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
		if p.gone[pipe] || s.writeError() != nil {
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
func (p *Process) Close(pipe int) { p.shut(pipe) }

// shut closes one of the child's ends, once.
func (p *Process) shut(i int) {
	if !p.gone[i] {
		p.gone[i] = true
		p.ends[i].unref()
	}
}
