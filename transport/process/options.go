package process

import (
	"fmt"
	"syscall"
	"time"

	"mobius/proactor"
	"mobius/transport"
	"mobius/transport/pipe"
)

// A StopPolicy says what becomes of a child that lives when its loop stops.
type StopPolicy uint8

// The policies. In both cases the protocol is told.
const (
	// Leave lets it live: the pipes are closed, and ProcessExited and
	// ProcessEnded get the loop's reason to stop. Nobody is told of its end any
	// more; it leaves no zombie. This is the default, as in Twisted.
	Leave StopPolicy = iota

	// Kill sends SIGKILL; the loop waits for the child's end, and the protocol
	// gets its status.
	Kill
)

// Options are what a [Command] says beside the program. The zero value is the
// default of every field.
type Options struct {
	// HighWater, LowWater and HardLimit bound what is queued for each of the
	// child's inputs; see transport.Options, whose defaults they have.
	HighWater, LowWater, HardLimit int

	// CloseTimeout bounds how long an input that was closed may take to be read,
	// without progress; default: for ever, since a child may be busy.
	CloseTimeout time.Duration

	// Grace is how long pipes that others hold, processes that the child has
	// left behind for example, may stay open after it has exited. Default: for
	// ever.
	Grace time.Duration

	// OnStop says what becomes of the child when the loop stops.
	OnStop StopPolicy
}

// A Command says what to start, and how. Without Pipes, Files and PTY the
// child has pipes for 0, which is written to, and 1 and 2, which are read; a
// Pipes that is empty but not nil gives it none.
type Command struct {
	proactor.Command
	Options
}

// prepare returns what to spawn.
func (c *Command) prepare() (*proactor.Command, error) {
	spawn := c.Command
	if spawn.PTY {
		for _, p := range spawn.Pipes {
			if p.FD < 3 {
				return nil, fmt.Errorf("process: descriptor %d is the terminal's: %w", p.FD, syscall.EINVAL)
			}
		}
		for _, f := range spawn.Files {
			if f.FD < 3 {
				return nil, fmt.Errorf("process: descriptor %d is the terminal's: %w", f.FD, syscall.EINVAL)
			}
		}
	} else if spawn.Pipes == nil && spawn.Files == nil {
		spawn.Pipes = []proactor.ChildPipe{{FD: 0, Write: true}, {FD: 1}, {FD: 2}}
	}
	return &spawn, nil
}

func (o *Options) limits() pipe.Limits {
	l := pipe.Limits{High: o.HighWater, Low: o.LowWater, Hard: o.HardLimit, CloseTimeout: o.CloseTimeout}
	if l.High == 0 {
		l.High = transport.DefaultHighWater
	}
	if l.Low == 0 {
		l.Low = min(transport.DefaultLowWater, l.High)
	}
	if l.Hard == 0 {
		l.Hard = transport.DefaultHardLimit
	}
	return l
}
