package traffic

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/uring"
)

// Thousands of proxied connections are held by a process that may not have a
// descriptor for each. Clients and upstreams are other processes. All of them are served,
// also after they have been quiet, and when they have gone, no place of the rings' tables is
// taken but those of the accepts.
func TestDirectBeyondDescriptors(t *testing.T) {
	switch r := uring.Probe(); {
	case strings.Contains(r.Direct, "is needed") || !slices.Contains(backends(), "uring"):
		t.Skipf("connections without descriptors: %s", r.Direct)
	case r.Direct != "":
		testenv.Missing(t, "connections without descriptors: %s", r.Direct)
	}
	// Each loop gets a third of them, more or less, and has a sixteenth to spare.
	connections, limit := 1000, 1024
	if testenv.Long() {
		connections, limit = 20_000, 16_384
	}
	upstreams := []*proxied{startEcho(t, "epoll"), startEcho(t, "epoll")}
	front := startDirect(t, limit, upstreams)
	idle := front.process.descriptors(t)
	memory := front.process.status(t, "VmRSS")
	begin := time.Now()
	var groups []*clients
	for _, addr := range front.addrs {
		groups = append(groups, startClients(t, addr, connections/len(front.addrs)))
	}
	for _, c := range groups {
		c.wait(t, "connected")
	}
	took := time.Since(begin)
	files := front.process.descriptors(t) - idle
	memory = front.process.status(t, "VmRSS") - memory
	t.Logf("%d proxied connections on 3 loops, by %d descriptors more (limit %d), in %v; %.2f KiB resident each",
		connections, files, limit, took.Round(time.Millisecond), float64(memory)/float64(connections))
	if files > 8 {
		t.Errorf("%d connections have %d descriptors, want none", connections, files)
	}
	testenv.Eventually(t, testenv.Patience(), "each connection has two handles and two places", func() bool {
		handles, taken := front.counts(t)
		return handles >= 2*connections && taken >= 2*connections
	})
	for _, c := range groups {
		c.tell(t, "again")
		c.wait(t, "served")
	}
	for _, c := range groups {
		c.tell(t, "leave")
		c.wait(t, "gone")
	}
	testenv.Eventually(t, testenv.Patience(), "no place is taken but those that accepts keep", func() bool {
		handles, taken := front.counts(t)
		return handles == 3*len(front.addrs) && taken == 3*len(front.addrs)
	})
}

// A direct is a proxy without descriptors.
type direct struct {
	process *process
	addrs   []string
	status  string
}

// startDirect starts a proxy on three loops with two listeners, which may have
// limit descriptors, and as many connections on each loop.
func startDirect(t *testing.T, limit int, upstreams []*proxied) *direct {
	t.Helper()
	args := []string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, limit), program(t), "proxy", "--backend", "uring",
		"--loops", "3", "--reuseport", "--direct", strconv.Itoa(limit), "--idle-timeout", "0", "--status", "127.0.0.1:0",
		"--listen", "tcp://127.0.0.1:0", "--listen", "tcp://127.0.0.2:0"}
	for _, u := range upstreams {
		args = append(args, "--to", "tcp://"+u.addr)
	}
	p := start(t, exec.Command("sh", args...), "mobius proxy --direct")
	d := &direct{process: p}
	d.status = p.wait(t, "where its status is", func(line string) (string, bool) { return strings.CutPrefix(line, "status on ") })
	for _, line := range p.lines() {
		if addr, ok := strings.CutPrefix(line, "listening on tcp://"); ok {
			d.addrs = append(d.addrs, addr)
		}
	}
	if len(d.addrs) != 2 {
		t.Fatalf("it listens on %v", d.addrs)
	}
	return d
}

// counts returns how many handles and places the loops have, as of a moment
// ago: they are asked once a second.
func (d *direct) counts(t *testing.T) (handles, places int) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	r, err := client.Get(d.status + "status.json")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var s struct {
		Proxy struct {
			Loops []struct{ Handles, Direct int }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	for _, l := range s.Proxy.Loops {
		handles, places = handles+l.Handles, places+l.Direct
	}
	return handles, places
}

// clients are a process of many connections, which does as it is told.
type clients struct {
	*process
	orders *os.File
}

func startClients(t *testing.T, addr string, n int) *clients {
	t.Helper()
	orders := pipe(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=clients %d %s", roleVariable, n, addr))
	cmd.Stdin = orders[0]
	return &clients{start(t, cmd, "the clients of "+addr), orders[1]}
}

func (c *clients) tell(t *testing.T, order string) {
	t.Helper()
	if _, err := fmt.Fprintln(c.orders, order); err != nil {
		t.Fatal(err)
	}
}

func (c *clients) wait(t *testing.T, word string) {
	t.Helper()
	c.process.wait(t, word, func(line string) (string, bool) {
		if strings.HasPrefix(line, "error") {
			t.Fatal(line)
		}
		return "", line == word
	})
}

// clientsRole is the clients' process: it connects, is served once, and then does
// as the lines of its standard input say.
func clientsRole(count, addr string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	conns := make([]*net.TCPConn, n)
	all := func(done string, f func(i int) error) error {
		if err := atOnce(n, f); err != nil {
			fmt.Println("error:", err)
			return err
		}
		fmt.Println(done)
		return nil
	}
	if err := all("connected", func(i int) error {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		conns[i] = c.(*net.TCPConn)
		return echoed(c, byte(i))
	}); err != nil {
		return err
	}
	var order string
	for {
		if _, err := fmt.Scanln(&order); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		var err error
		switch order {
		case "again":
			err = all("served", func(i int) error { return echoed(conns[i], byte(i)+1) })
		case "leave": // without a state in the kernel that lasts (TIME_WAIT)
			err = all("gone", func(i int) error { return errors.Join(conns[i].SetLinger(0), conns[i].Close()) })
		}
		if err != nil {
			return err
		}
	}
}

// atOnce calls f for each of n, some at a time, and returns the first error.
func atOnce(n int, f func(i int) error) error {
	var next atomic.Int64
	var all sync.WaitGroup
	errs := make(chan error, 16)
	for range cap(errs) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					errs <- fmt.Errorf("client %d: %w", i, err)
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	return <-errs
}

// echoed sends a byte and wants it back.
func echoed(c net.Conn, b byte) error {
	if err := c.SetDeadline(time.Now().Add(testenv.Patience())); err != nil {
		return err
	}
	if _, err := c.Write([]byte{b}); err != nil {
		return err
	}
	var back [1]byte
	if _, err := io.ReadFull(c, back[:]); err != nil {
		return err
	}
	if back[0] != b {
		return fmt.Errorf("sent %d, got %d", b, back[0])
	}
	return nil
}
