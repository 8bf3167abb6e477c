package splice

import (
	"errors"
	"slices"
)

// ErrRefused means that there is no pipe to be had now: the limit is reached,
// or the process has no descriptors left. Callers copy.
var ErrRefused = errors.New("no pipe to be had")

// A Pool keeps pipes for the relays of one loop. It belongs to one goroutine.
type Pool struct {
	limit, size int
	all         []*Pipe // open ones
	idle        []*Pipe // those of them that are not in use
	refused     uint64
}

// keptIdle is how many empty pipes are kept open.
const keptIdle = 8

// Init sets how many pipes there may be at once (none if negative), and how
// many bytes each shall take.
func (p *Pool) Init(limit, size int) { p.limit, p.size = limit, size }

// Open returns the number of open pipes, idle ones included.
func (p *Pool) Open() int { return len(p.all) }

// Refused returns how often Get has answered ErrRefused.
func (p *Pool) Refused() uint64 { return p.refused }

// Get returns an empty pipe, or ErrRefused.
func (p *Pool) Get() (*Pipe, error) {
	if n := len(p.idle); n > 0 {
		pipe := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return pipe, nil
	}
	if len(p.all) < p.limit {
		if pipe, err := newPipe(p.size); err == nil {
			p.all = append(p.all, pipe)
			return pipe, nil
		}
	}
	p.refused++
	return nil, ErrRefused
}

// Put takes a pipe back. One that still holds bytes is closed, and they are
// lost.
func (p *Pool) Put(pipe *Pipe) {
	if pipe.n == 0 && len(p.idle) < keptIdle {
		p.idle = append(p.idle, pipe)
		return
	}
	pipe.close()
	p.all = slices.DeleteFunc(p.all, func(x *Pipe) bool { return x == pipe })
}

// Close closes all pipes, those in use too.
func (p *Pool) Close() {
	for _, pipe := range p.all {
		pipe.close()
	}
	p.all, p.idle, p.limit = nil, nil, 0
}
