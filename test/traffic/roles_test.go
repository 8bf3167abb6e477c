package traffic

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"mobius"
	"mobius/proactor"
	"mobius/proxy"
)

// roles are the servers that this test binary can be, in a process of its own,
// so that what the process allocates is the server's alone.
func roles() map[string]func(backend, upstream string) error {
	return map[string]func(backend, upstream string) error{
		"stuck":       func(backend, _ string) error { return stuckRole(backend) },
		"clients":     clientsRole,
		"echo":        func(backend, _ string) error { return echoRole(backend, proactor.SocketOptions{}) },
		"proxy":       func(backend, upstream string) error { return proxyRole(backend, upstream, proactor.SocketOptions{}) },
		"echo-small":  func(backend, _ string) error { return echoRole(backend, smallBuffers) },
		"proxy-small": func(backend, upstream string) error { return proxyRole(backend, upstream, smallBuffers) },
	}
}

// smallBuffers make output queue in the process, and not in the kernel.
var smallBuffers = proactor.SocketOptions{SendBuffer: 4 << 10, RecvBuffer: 4 << 10}

// playRole runs a role, "NAME BACKEND UPSTREAM", and returns the process's
// exit status.
func playRole(text string) int {
	words := strings.Fields(text)
	role := roles()[words[0]]
	if role == nil || len(words) != 3 {
		fmt.Fprintf(os.Stderr, "no role %q\n", text)
		return 2
	}
	if err := role(words[1], words[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A counted is a server that tells how much it has allocated when asked.
type counted struct {
	*proxied
	ask  *os.File // a byte asks
	tell *os.File // a line answers
}

// startRole starts this binary as a role.
func startRole(t *testing.T, name, backend, upstream string) *counted {
	t.Helper()
	ask, tell := pipe(t), pipe(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+name+" "+backend+" "+upstream)
	cmd.ExtraFiles = []*os.File{ask[0], tell[1]} // descriptors 3 and 4
	p := start(t, cmd, name+" on "+backend)
	return &counted{&proxied{addr: listening(t, p, backend), process: p}, ask[1], tell[0]}
}

// pipe returns both ends of a pipe, which are closed with the test.
func pipe(t *testing.T) [2]*os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return [2]*os.File{r, w}
}

// mallocs returns how many heap objects the process has allocated so far.
func (c *counted) mallocs(t *testing.T) uint64 {
	t.Helper()
	if _, err := c.ask.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 32)
	n, err := c.tell.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	count, err := strconv.ParseUint(strings.TrimSpace(string(answer[:n])), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// tellMallocs answers in a role's process, without allocating anything itself.
func tellMallocs() {
	ask, tell := os.NewFile(3, "ask"), os.NewFile(4, "tell")
	var stats runtime.MemStats
	question, answer := make([]byte, 1), make([]byte, 0, 32)
	for {
		if _, err := ask.Read(question); err != nil {
			return // the test has ended
		}
		runtime.ReadMemStats(&stats)
		answer = append(strconv.AppendUint(answer[:0], stats.Mallocs, 10), '\n')
		if _, err := tell.Write(answer); err != nil {
			return
		}
	}
}

// loopback is a port of the kernel's choice.
func loopback() proactor.Address {
	return proactor.IPAddress(proactor.TCP, netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
}

// An echoProtocol sends back what it gets, and takes no more while its peer
// does not read.
type echoProtocol struct{ t mobius.Transport }

func (e *echoProtocol) ConnectionMade(t mobius.Transport) { e.t = t }
func (e *echoProtocol) ConnectionLost(error)              {}
func (e *echoProtocol) PauseWriting()                     { e.t.PauseReading() }
func (e *echoProtocol) ResumeWriting()                    { e.t.ResumeReading() }
func (e *echoProtocol) DataReceived(p []byte) {
	if _, err := e.t.Write(p); err != nil {
		e.t.CloseWithError(err)
	}
}

func echoRole(backend string, o proactor.SocketOptions) error {
	r, err := mobius.New(mobius.Options{Backend: backend})
	if err != nil {
		return err
	}
	build := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &echoProtocol{} })
	port, err := r.Listen(loopback(), build, mobius.ListenOptions{Socket: &o})
	if err != nil {
		return err
	}
	return run(r, port.Addr())
}

func proxyRole(backend, upstream string, o proactor.SocketOptions) error {
	to, err := proactor.ParseAddress("tcp", upstream)
	if err != nil {
		return err
	}
	route, err := proxy.NewRoundRobin(to)
	if err != nil {
		return err
	}
	r, err := mobius.New(mobius.Options{Backend: backend})
	if err != nil {
		return err
	}
	p, err := proxy.New(r.Loops(), proxy.Options{Route: route, Listener: o, Upstream: o})
	if err != nil {
		return err
	}
	if err := p.Listen(loopback()); err != nil {
		return err
	}
	return run(r, p.Addrs()[0])
}

// run announces the server as the program does, and runs it until the end.
func run(r *mobius.Reactor, at net.Addr) error {
	fmt.Printf("on %s (%s)\nlistening on tcp://%v\n", r.Backend().Name, r.Backend().Why, at)
	go tellMallocs()
	return r.Run(context.Background())
}
