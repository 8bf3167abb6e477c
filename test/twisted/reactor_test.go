package twisted

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"mobius"
	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
)

// eachReactor runs f with a new reactor on every backend, with default limits
// and with hostile ones. o.Open, o.Backend and o.Logger are the case's: what
// the reactor logs is in the journal. f runs the reactor, or leaves it; it is
// closed afterwards, and nothing may be left of it.
func eachReactor(t *testing.T, o mobius.Options, f func(t *testing.T, r *mobius.Reactor, j *journal)) {
	eachBackend(t, func(t *testing.T, open func() (proactor.Backend, error)) { runReactor(t, o, open, f) })
}

// eachBackend runs f with what opens backends, for every kind of them. Nothing
// may be left of them.
func eachBackend(t *testing.T, f func(t *testing.T, open func() (proactor.Backend, error))) {
	t.Run("sim", func(t *testing.T) {
		net := sim.New(sim.Options{Seed: 1, Faults: sim.NoFaults, Foreign: true})
		f(t, func() (proactor.Backend, error) { return net.Open() })
		if err := net.Leaks(); err != nil {
			t.Error(err)
		}
	})
	for _, b := range slices.Concat(backends.Real(), backends.Hostile()) {
		name := b.Name
		if b.Limits != "" {
			name += ", " + b.Limits
		}
		t.Run(name, func(t *testing.T) {
			testenv.Leaks(t)
			f(t, b.Open)
		})
	}
}

func runReactor(t *testing.T, o mobius.Options, open func() (proactor.Backend, error),
	f func(t *testing.T, r *mobius.Reactor, j *journal)) {
	t.Helper()
	j := &journal{}
	o.Open = func(int) (proactor.Backend, error) { return open() }
	o.Logger = slog.New(j)
	r, err := mobius.New(o)
	if err != nil {
		testenv.Missing(t, "%v", err)
	}
	f(t, r, j)
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// A journal keeps what is logged, a line each: level, message, and what was
// attached as key=value, without stacks.
type journal struct {
	least slog.Level // Info, if not set
	mu    sync.Mutex
	lines []string
}

// all returns the lines.
func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// count returns how many lines contain text.
func (j *journal) count(text string) int {
	n := 0
	for _, line := range j.all() {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (j *journal) Enabled(_ context.Context, level slog.Level) bool { return level >= j.least }

func (j *journal) WithAttrs([]slog.Attr) slog.Handler { return j }
func (j *journal) WithGroup(string) slog.Handler      { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "stack" {
			line += " " + a.String()
		}
		return true
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
	return nil
}
