package traffic

import (
	"io"
	"net"
	"sync"
	"testing"

	"mobius/internal/invariant"
)

// Serving allocates nothing: the process's own count of heap objects grows by
// at most ten over 100,000 echoes, and over 100,000 relayed chunks, whatever
// the runtime does besides.
const mostMallocs = 10

func TestMallocsOfEchoes(t *testing.T) {
	for _, backend := range backends() {
		t.Run(backend, func(t *testing.T) {
			checkMallocs(t, startRole(t, "echo", backend, "-"))
		})
	}
}

func TestMallocsOfRelays(t *testing.T) {
	for _, backend := range backends() {
		t.Run(backend, func(t *testing.T) {
			checkMallocs(t, startRole(t, "proxy", backend, serve(t, echo)))
		})
	}
}

// checkMallocs counts what 100,000 exchanges on connections that are open
// already make the server allocate. Of a proxy each is a chunk both ways.
func checkMallocs(t *testing.T, server *counted) {
	t.Helper()
	if invariant.Enabled {
		t.Skip("lent bytes are heap copies when invariants are compiled in")
	}
	const connections, exchanges, warming = 10, 100_000, 20_000
	open := warm(t, server.addr, connections)
	busy(t, open, warming)
	before := server.mallocs(t)
	nothing := server.mallocs(t) - before // what asking costs
	before = server.mallocs(t)
	busy(t, open, exchanges)
	got := server.mallocs(t) - before
	t.Logf("%d mallocs in %d exchanges, %d in none", got, exchanges, nothing)
	if got > mostMallocs {
		t.Errorf("%d exchanges cost %d mallocs, want at most %d", exchanges, got, mostMallocs)
	}
}

// busy makes so many exchanges, spread over the connections.
func busy(t *testing.T, open []net.Conn, exchanges int) {
	t.Helper()
	var all sync.WaitGroup
	for _, c := range open {
		all.Go(func() {
			out, in := make([]byte, 1024), make([]byte, 1024)
			for range exchanges / len(open) {
				if _, err := c.Write(out); err != nil {
					t.Errorf("write: %v", err)
					return
				}
				if _, err := io.ReadFull(c, in); err != nil {
					t.Errorf("read: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
}
