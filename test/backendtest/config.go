package backendtest

import (
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// A Config says what is tested, and what may be expected of it.
type Config struct {
	// Name is what the backend under test must call itself. Every test checks
	// it, so that no test runs on another backend than it says. "" checks nothing.
	Name string

	// Open opens a backend. A test may open several; those of one test must be
	// able to reach each other (sim: one network per testing.TB). Backends that
	// stay open are closed by the test.
	Open func(testing.TB) proactor.Backend

	// Client opens the backend on which the connecting side stands, for pairs;
	// nil means that both sides stand on the one backend under test.
	// ClientName is to Client what Name is to Open.
	Client     func(testing.TB) proactor.Backend
	ClientName string

	// Unsupported are the kinds that the backend answers with ErrUnsupported,
	// which is then what the tests of these kinds check.
	Unsupported []proactor.Kind

	Virtual     bool // time is virtual: it moves only in Poll
	Descriptors bool // handles are descriptors of this process: Adopt and Detach deal in them
	Hostile     bool // limits are tiny: socket buffers are too
	AnyThread   bool // Poll does not look at threads: a goroutine owns the backend, and tests are not locked to theirs
	Allocates   bool // operations may allocate
	SendsOnly   bool // TryWrite takes nothing: streams have no descriptors

	// Scale is what amounts of bytes are divided by, for backends that are slow
	// or small; 0 means 1, or 32 if Hostile.
	Scale int

	// Holds is the cap on holds that Open has set, if the tests shall count on
	// reaching it; 0 if it is too large for that or unknown.
	Holds int

	// Starves says that the backend lends from so few buffers that a test can
	// exhaust them; tests then insist on having seen it.
	Starves bool

	// Turn is how many bytes one stream lends in one Poll at most, so that others
	// have theirs; 0 means that nobody knows.
	Turn int

	// Datagram is how many bytes a RecvFrom lends at most; 0 means 64 KiB.
	Datagram int

	// Skip are beginnings of names of tests that are not run.
	Skip []string

	// Watch is told the counters of each backend before it is closed, if not nil.
	Watch func(proactor.Stats)

	// Child makes a command that ends with the given status; nil means sh.
	Child func(status int) *proactor.Command

	// Sleeper is a command that does not end by itself; nil means sleep.
	Sleeper *proactor.Command

	// Patience is how long a test waits for what must happen, by the backend's
	// clock; 0 means testenv's, or two hours of virtual time.
	Patience time.Duration

	// Seed varies the random choices of the tests.
	Seed uint64
}

// A Test is one test of the suite.
type Test struct {
	Name  string // begins with S and the sentence's number, or with Close
	alone bool   // makes no sense with the two sides on different backends
	fds   bool   // needs handles that are descriptors
	tries bool   // needs a TryWrite that writes
	run   func(*world)
}

// Run runs the suite against the backends of open, which are real: they deal
// in descriptors and in real time, and do everything.
func Run(t *testing.T, open func(testing.TB) proactor.Backend) {
	Config{Open: open, Descriptors: true}.Run(t)
}

// RunPair runs the tests that have two sides with the connecting side on a
// backend of openClient and the other one on a backend of openServer.
func RunPair(t *testing.T, openClient, openServer func(testing.TB) proactor.Backend) {
	Config{Open: openServer, Client: openClient, Descriptors: true}.Run(t)
}

// Run runs the tests that c allows as subtests of t.
func (c Config) Run(t *testing.T) {
	for _, test := range c.Tests() {
		t.Run(test.Name, func(t *testing.T) {
			if !c.free() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
			}
			c.run(t, test)
		})
	}
}

// free reports whether the goroutine of a test may change its thread.
func (c Config) free() bool { return c.AnyThread && c.Client == nil }

// Tests returns the tests that Run would run, in order.
func (c Config) Tests() []Test {
	out := make([]Test, 0, len(tests))
	for _, test := range tests {
		skipped := slices.ContainsFunc(c.Skip, func(s string) bool { return strings.HasPrefix(test.Name, s) })
		if skipped || test.alone && c.Client != nil || test.fds && !c.Descriptors || test.tries && c.SendsOnly {
			continue
		}
		out = append(out, test)
	}
	return out
}

func patience(virtual bool) time.Duration {
	if virtual {
		return 2 * time.Hour
	}
	return testenv.Patience()
}

// run runs one test on the calling goroutine, which is locked to its thread
// unless any will do.
func (c Config) run(tb testing.TB, test Test) {
	tb.Helper()
	if c.Patience == 0 {
		c.Patience = patience(c.Virtual)
	}
	if c.Scale == 0 && c.Hostile {
		c.Scale = 32
	}
	warm()
	before := takeInventory()
	c.body(tb, test)
	if !tb.Failed() {
		before.compare(tb)
	}
}

// body runs a test in a world of its own. A panic, which a backend that breaks
// the contract may well end in, fails the test like anything else.
func (c Config) body(tb testing.TB, test Test) {
	tb.Helper()
	w := newWorld(tb, &c, test.Name)
	returned := false
	defer func() {
		tb.Helper()
		if returned {
			return
		}
		if p := recover(); p != nil {
			tb.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		w.abandon()
	}()
	test.run(w)
	w.stopIfBroken()
	if !w.Failed() {
		w.finish()
	}
	returned = !w.Failed()
}

// supports reports whether the backend does ops of a kind. If not, it checks
// that one is answered with ErrUnsupported.
func (w *world) supports(kind proactor.Kind, h proactor.Handle) bool {
	w.Helper()
	if !slices.Contains(w.cfg.Unsupported, kind) {
		return true
	}
	p := w.server.probe(kind, h)
	p.Buf, p.Addr, p.Events = []byte("x"), &proactor.Address{}, proactor.Readable
	p.submit()
	w.until("the op that is not supported completes", p.isIdle)
	if p.err != proactor.ErrUnsupported {
		w.Fatalf("%v completes with %v, want ErrUnsupported", kind, p.err)
	}
	return false
}
