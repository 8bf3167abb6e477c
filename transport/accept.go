package transport

import (
	"runtime/debug"
	"syscall"

	"mobius/loop"
	"mobius/proactor"
)

// A blame says whose an error of accept is.
type blame uint8

const (
	someone  blame = iota // nobody knows: rest, and try again
	theirs                // the one connection's: go on with the next
	shortage              // the process's or the system's: no descriptors, no memory
)

// blames knows the errors that accept(2) and its Linux page name. That of the
// firewall (EPERM) and those that a network passes on belong to one
// connection each, which accept has taken off the queue.
var blames = map[syscall.Errno]blame{
	syscall.EMFILE:       shortage,
	syscall.ENFILE:       shortage,
	syscall.ENOBUFS:      shortage,
	syscall.ENOMEM:       shortage,
	syscall.ECONNABORTED: theirs,
	syscall.ECONNRESET:   theirs,
	syscall.EPERM:        theirs,
	syscall.EPROTO:       theirs,
	syscall.ENOPROTOOPT:  theirs,
	syscall.EOPNOTSUPP:   theirs,
	syscall.ENETDOWN:     theirs,
	syscall.ENETUNREACH:  theirs,
	syscall.EHOSTDOWN:    theirs,
	syscall.EHOSTUNREACH: theirs,
	syscall.ETIMEDOUT:    theirs,
}

// connected hands a connection on. After Stop there is nobody to take it: its
// peer is told by a reset, like those that were still waiting.
func (n *Listener) connected(h proactor.Handle) {
	if n.state == stopping {
		_ = n.l.Sockets().Reset(h)
		_ = n.l.Sockets().CloseFD(h)
		return
	}
	n.stats.Accepted++
	n.row, n.delay = 0, 0
	defer n.returned(h)
	n.accept(h, n.peer)
}

// returned is deferred around the accept function.
func (n *Listener) returned(h proactor.Handle) {
	if v := recover(); v != nil {
		n.l.Report(loop.Trouble{Kind: loop.Panicked, Value: v, Stack: debug.Stack()})
		_ = n.l.Sockets().CloseFD(h) // if a connection was started on it, it is busy, and lives
	}
}

// failed decides how to go on after an error.
func (n *Listener) failed(err error) {
	n.row++
	whose := someone
	if errno, ok := err.(syscall.Errno); ok {
		if n.stats.Errors == nil {
			n.stats.Errors = make(map[syscall.Errno]uint64)
		}
		n.stats.Errors[errno]++
		whose = blames[errno]
	} else {
		n.stats.Other++
	}
	if whose == theirs && n.row%patientRow != 0 {
		n.l.Submit(&n.op)
		return
	}
	if whose == shortage {
		refused, _ := n.l.Sockets().Refuse(n.op.Handle, refuseAtOnce)
		n.stats.Refused += uint64(refused)
	}
	n.report(err)
	n.delay = min(max(2*n.delay, shortRest), longestRest)
	n.state = resting
	n.l.Start(&n.timer, n.delay)
}

func (n *Listener) report(err error) {
	now := n.l.Now()
	if n.told && now-n.reported < reportEvery {
		return
	}
	n.told, n.reported = true, now
	n.l.Report(loop.Trouble{Kind: loop.AcceptFailed, Value: &AcceptError{Addr: n.addr, Err: err, Row: n.row}})
}
