package stacks

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"mobius/internal/testenv"
)

// idlePeer, as the first argument, makes the test binary the client of
// TestIdleKeepAlive; the address and the number of connections follow.
const idlePeer = "peer"

func TestMain(m *testing.M) {
	if len(os.Args) != 4 || os.Args[1] != idlePeer {
		os.Exit(m.Run())
	}
	if err := peerOf(os.Args[2], os.Args[3]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// peerOf makes connections, uses each, waits for a line, uses each again, and
// closes them.
func peerOf(address, number string) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	conns := make([]net.Conn, n)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", address); err == nil {
			err = get(conns[i])
		}
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	const workers = 8
	failed := make(chan error, workers)
	for w := range workers {
		go func() {
			for i := w; i < n; i += workers {
				if err := get(conns[i]); err != nil {
					failed <- fmt.Errorf("connection %d, which was idle: %w", i, err)
					return
				}
				_ = conns[i].Close()
			}
			failed <- nil
		}()
	}
	for range workers {
		if err := <-failed; err != nil {
			return err
		}
	}
	fmt.Println("done")
	return nil
}

func get(c net.Conn) error {
	if _, err := io.WriteString(c, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return err
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err
}

// Idle keep-alive connections, each of which was used, to a process of its own:
// what one costs the server is logged beside what it costs with package net. All
// of them are served afterwards.
func TestIdleKeepAlive(t *testing.T) {
	n := 1000
	if long() {
		n = 10_000
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if most := int(limit.Max) - 100; n > most {
		testenv.Missing(t, "%d descriptors, and there may be %d", n, most)
	}
	var mu sync.Mutex
	table := "| stack | connections | goroutines each | heap and stack, bytes each | resident, bytes each |\n| --- | --- | --- | --- | --- |\n"
	each(t, func(t *testing.T, s stack) {
		server, _ := serveHTTP(t, s, mux(), false)
		before := costs(t)
		cmd := exec.Command(os.Args[0], idlePeer, server.Listener.Addr().String(), strconv.Itoa(n))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		lines := bufio.NewReader(out)
		says(t, lines, "ready")
		after := costs(t)
		mu.Lock()
		_, name, _ := strings.Cut(t.Name(), "/")
		table += fmt.Sprintf("| %s | %d | %.2f | %d | %d |\n", name, n, float64(after.goroutines-before.goroutines)/float64(n),
			(after.bytes-before.bytes)/n, (after.resident-before.resident)/n)
		mu.Unlock()
		if _, err := io.WriteString(in, "go on\n"); err != nil {
			t.Fatal(err)
		}
		says(t, lines, "done")
	})
	t.Logf("an idle connection of net/http:\n%s", table)
}

// says waits for a line of the client's.
func says(t *testing.T, from *bufio.Reader, want string) {
	t.Helper()
	lines := make(chan string, 1)
	go func() {
		line, err := from.ReadString('\n')
		if err != nil {
			line += err.Error()
		}
		lines <- line
	}()
	if got := wait(t, lines); got != want+"\n" {
		t.Fatalf("the client says %q, want %q", got, want)
	}
}

type cost struct{ goroutines, bytes, resident int }

// costs returns what the process has now, without what the collector would free.
func costs(t *testing.T) cost {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	statm, err := os.ReadFile("/proc/self/statm") // proc(5): the second number is resident pages
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return cost{runtime.NumGoroutine(), int(m.HeapInuse + m.StackInuse), pages * os.Getpagesize()}
}
