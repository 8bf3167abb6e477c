//go:build linux

package stress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"mobius"
	"mobius/internal/invariant"
	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/test/backends"
)

// A footprint is what this process has.
type footprint struct {
	descriptors, goroutines, mappings int
	resident                          int // KiB
}

// footprintOf measures it, once the collector has given back what it can.
func footprintOf(t *testing.T) footprint {
	t.Helper()
	debug.FreeOSMemory()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	rollup, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		testenv.Missing(t, "%v", err)
	}
	f := footprint{len(testenv.Descriptors()), runtime.NumGoroutine(), strings.Count(string(maps), "\n"), -1}
	for line := range strings.Lines(string(rollup)) {
		_, _ = fmt.Sscanf(line, "Rss: %d kB", &f.resident) // other lines are not it
	}
	if f.resident < 0 {
		t.Fatalf("no Rss in %s", rollup)
	}
	return f
}

// The heap, the runtime's threads and its tables grow once, not with the rounds:
// what may be left of all rounds together.
const (
	residentBound = 2 << 10 // KiB
	mappingBound  = 24      // stacks of threads, arenas and tables of the runtime
)

// back waits until the footprint is that of before.
func back(t *testing.T, before footprint, rounds int) {
	t.Helper()
	var now footprint
	fine := testenv.Becomes(patience(), func() bool {
		now = footprintOf(t)
		return now.descriptors <= before.descriptors && now.goroutines <= before.goroutines &&
			now.mappings <= before.mappings+mappingBound &&
			(invariant.Enabled || now.resident <= before.resident+residentBound)
	})
	t.Logf("%d rounds: %+v before, %+v afterwards", rounds, before, now)
	if !fine {
		t.Errorf("after %d rounds %+v, before %+v", rounds, now, before)
	}
}

// rounds is how many there are, in the normal run and if MOBIUS_LONG=1.
func rounds(normal, long int) int {
	switch {
	case testenv.Long():
		return long
	case testing.Short() || invariant.Enabled:
		return normal / 4
	}
	return normal
}

// Connections that come and go leave nothing on their reactor: no descriptor,
// goroutine, mapping, handle, hold or memory.
func TestRoundsOfConnections(t *testing.T) {
	for _, b := range backends.Real() {
		t.Run(b.Name, func(t *testing.T) {
			run(t, b, 1, func(s *site) {
				var e end
				port := s.listen(func() mobius.Protocol { return &echo{end: &e} }, mobius.ListenOptions{})
				made := 0
				in := func(n int) {
					made += n
					s.together(n, 8, func(i int) error { return visit(port.Addr().String(), i) })
					e.all(s, int64(made))
				}
				in(200) // what is kept for the next ones is there
				before, n := footprintOf(s.T), rounds(1500, 10_000)
				in(n)
				back(s.T, before, n)
				s.ask(func() {
					if st := s.Loops()[0].Backend().Stats(); st.Holds != 0 || st.Handles > 1 {
						s.Errorf("left: %+v", st)
					}
				})
			})
		})
	}
}

// Reactors that come and go, each with a connection that is there when it stops, leave
// nothing.
func TestRoundsOfReactors(t *testing.T) {
	for _, b := range backends.Real() {
		t.Run(b.Name, func(t *testing.T) {
			testenv.Leaks(t)
			in := func(n int) {
				for i := range n {
					if err := reactorRound(b); err != nil {
						t.Fatalf("round %d: %v", i, err)
					}
				}
			}
			in(20)
			before, n := footprintOf(t), rounds(100, 1500)
			in(n)
			back(t, before, n)
		})
	}
}

// reactorRound is the life of one reactor.
func reactorRound(b backends.Backend) error {
	r, err := mobius.New(mobius.Options{
		Open: func(int) (proactor.Backend, error) { return b.Open() }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	var e end
	at, err := mobius.ParseAddress("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, r.Close())
	}
	port, err := r.Listen(at, mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &echo{end: &e} }), mobius.ListenOptions{})
	if err != nil {
		return errors.Join(err, r.Close())
	}
	ran := make(chan error, 1)
	go func() { ran <- r.Run(context.Background()) }()
	c, err := dial(port.Addr().String())
	if err == nil {
		defer c.Close()
		err = says(c, []byte("a round"))
	}
	err = errors.Join(err, r.Stop(), <-ran)
	if made, lost := e.made.Load(), e.lost.Load(); err == nil && (made != 1 || lost != 1) {
		err = fmt.Errorf("%d connections were made, %d told of their end", made, lost)
	}
	return err
}
