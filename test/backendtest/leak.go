package backendtest

import (
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// An inventory is what the process holds: each test must leave it as it was.
type inventory struct {
	files      map[string]string // what each descriptor is
	goroutines int
	rings      int // mappings of io_uring rings
}

func takeInventory() inventory {
	return inventory{files: testenv.Descriptors(), goroutines: runtime.NumGoroutine(), rings: mappings("io_uring")}
}

// compare fails tb if something is there that was not. What ends by itself, a
// goroutine that is about to return, gets a moment.
func (i inventory) compare(tb testing.TB) {
	tb.Helper()
	var stray []string
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		now := takeInventory()
		stray = stray[:0]
		for fd, what := range now.files {
			if i.files[fd] != what {
				stray = append(stray, fd+" "+what)
			}
		}
		if len(stray) == 0 && now.goroutines <= i.goroutines && now.rings <= i.rings {
			return
		}
	}
	now := takeInventory()
	tb.Errorf("leak: descriptors %v; goroutines %d, were %d; ring mappings %d, were %d\n%s",
		stray, now.goroutines, i.goroutines, now.rings, i.rings, stacks())
}

func stacks() string {
	buf := make([]byte, 64<<10)
	return string(buf[:runtime.Stack(buf, true)])
}

// warm makes what the runtime makes once and keeps: the descriptors of its
// own network poller, and its signal goroutine.
var warm = sync.OnceFunc(func() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		l.Close()
	}
})

// countLines returns how many lines of text hold word.
func countLines(text, word string) (n int) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			n++
		}
	}
	return n
}
