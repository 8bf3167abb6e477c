package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A Process is a load in a process of its own, seen from who started it. Its
// methods are called in the order Ready, Go, Begin, End, Done, by one goroutine.
// Each returns an error when the load has failed, when its process has ended,
// or when ctx is done.
type Process struct {
	in     io.Writer
	events chan message
}

// Attach speaks to a process that runs [Main]: in is its standard input, out
// its output. Attach sends spec. Who attaches ends the process.
func Attach(in io.Writer, out io.Reader, spec Spec) (*Process, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	p := &Process{in: in, events: make(chan message, 8)}
	go p.read(out)
	return p, json.NewEncoder(in).Encode(spec)
}

// read hands on what the process says, until it ends.
func (p *Process) read(out io.Reader) {
	defer close(p.events)
	d := json.NewDecoder(bufio.NewReader(out))
	for range cap(p.events) { // it never says more
		var m message
		if d.Decode(&m) != nil {
			return
		}
		p.events <- m
	}
}

// ErrGone is the end of a load's process before its result.
var ErrGone = errors.New("load: the process has ended without a result")

func (p *Process) await(ctx context.Context, event string) (*Result, error) {
	select {
	case m, ok := <-p.events:
		switch {
		case !ok:
			return nil, ErrGone
		case m.Event == eventError:
			return nil, errors.New(m.Error)
		case m.Event != event:
			return nil, fmt.Errorf("load: the process says %q, want %q", m.Event, event)
		}
		return m.Result, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Ready waits until all connections stand.
func (p *Process) Ready(ctx context.Context) error {
	_, err := p.await(ctx, eventReady)
	return err
}

// Go has it begin with the warm-up.
func (p *Process) Go() error {
	_, err := io.WriteString(p.in, "\n")
	return err
}

// Begin waits for the beginning of the measured time.
func (p *Process) Begin(ctx context.Context) error {
	_, err := p.await(ctx, eventBegin)
	return err
}

// End waits for its end. The connections stand until Done.
func (p *Process) End(ctx context.Context) error {
	_, err := p.await(ctx, eventEnd)
	return err
}

// Done has it end, and returns what it has seen.
func (p *Process) Done(ctx context.Context) (*Result, error) {
	if err := p.Go(); err != nil {
		return nil, err
	}
	return p.await(ctx, eventResult)
}
