package stacks

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// Idle keep-alive connections, each of which was used: how many goroutines and
// bytes of the heap one costs, server and client together, is logged beside
// what it costs with package net. All of them are served afterwards.
func TestIdleKeepAlive(t *testing.T) {
	n := 2000
	if os.Getenv("MOBIUS_LONG") != "" {
		n = 10_000
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if most := int(limit.Cur)/2 - 100; n > most {
		t.Logf("%d connections instead of %d: no more descriptors", most, n)
		n = most
	}
	each(t, func(t *testing.T, s stack) {
		server, _ := serveHTTP(t, s, mux(), false)
		before := costs()
		conns := make([]net.Conn, n)
		for i := range conns {
			conns[i] = dial(t, &theirs{}, server.Listener.Addr())
			get(t, conns[i])
		}
		after := costs()
		t.Logf("%d idle connections: %.2f goroutines and %d bytes of heap and stack each",
			n, float64(after.goroutines-before.goroutines)/float64(n), (int64(after.bytes)-int64(before.bytes))/int64(n))
		var all sync.WaitGroup
		for half := range 2 {
			all.Go(func() {
				for i := half; i < n; i += 2 {
					get(t, conns[i])
					_ = conns[i].Close()
				}
			})
		}
		all.Wait()
	})
}

func get(t *testing.T, c net.Conn) {
	if _, err := io.WriteString(c, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Error(err)
		return
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
}

type cost struct {
	goroutines int
	bytes      uint64
}

func costs() cost {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return cost{runtime.NumGoroutine(), m.HeapInuse + m.StackInuse}
}
