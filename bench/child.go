package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// A child is a program that was started, with all that it starts itself.
type child struct {
	cmd    *exec.Cmd
	output *tail
	ended  chan struct{} // closed when it has
	err    error         // how; read after ended
}

// A tail keeps the beginning of what a program says.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// tailSize is how much of it, in bytes.
const tailSize = 2 << 10

// Write keeps what there is room for.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[:min(len(p), tailSize-len(t.text))]...)
	return len(p), nil
}

// String returns it as one line.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.Fields(string(t.text)), " ")
}

// startChild starts cmd on the given processors, all if there are none. It
// ends with this process, at the latest (Linux), and with stop.
func startChild(cmd *exec.Cmd, cpus []int) (*child, error) {
	c := &child{cmd: cmd, output: &tail{}, ended: make(chan struct{})}
	cmd.Stderr = c.output
	cmd.WaitDelay = time.Second // for pipes that others keep open
	if err := launch(cmd, cpus); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.ended)
		c.err = cmd.Wait()
	}()
	return c, nil
}

// stop ends it and everything in its process group, and waits for that.
func (c *child) stop() {
	killGroup(c.cmd.Process)
	<-c.ended
}

// failure says how it ended, in words for a report.
func (c *child) failure() error {
	<-c.ended
	how := "status 0"
	if c.err != nil {
		how = c.err.Error()
	}
	if text := c.output.String(); text != "" {
		return fmt.Errorf("the program has ended (%s): %.300s", how, text)
	}
	return fmt.Errorf("the program has ended (%s)", how)
}

// during returns a context that ends with the child, too.
func (c *child) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		select {
		case <-c.ended:
			cancel(c.failure())
		case <-done:
		}
	}()
	var once sync.Once
	return ctx, func() {
		once.Do(func() { close(done) })
		cancel(nil)
	}
}

// startPoll is the time between two questions whether a server listens.
const startPoll = 4 * time.Millisecond

// errSilent is the end of the wait for a server that does not listen.
var errSilent = errors.New("it does not listen")

// listens waits until a server answers at its place, for some time.
func (c *child) listens(ctx context.Context, at Place, patience time.Duration) error {
	ctx, stop := c.during(ctx)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%w on %s after %v", errSilent, at.Address, patience))
	defer cancel()
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	for {
		err := knock(at)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// knock asks whether somebody is there.
func knock(at Place) error {
	network := "tcp"
	switch at.Kind {
	case KindUnix:
		network = "unix"
	case KindUDP:
		network = "udp"
	}
	conn, err := net.DialTimeout(network, at.Address, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if at.Kind != KindUDP {
		return nil
	}
	if err := conn.SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("?")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 8))
	return err
}

// freePort returns a port of 127.0.0.1 that was free just now, of TCP and UDP.
func freePort() (string, error) {
	for range 20 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		addr := l.Addr().String()
		u, err := net.ListenPacket("udp4", addr)
		l.Close()
		if err != nil {
			continue
		}
		u.Close()
		_, port, err := net.SplitHostPort(addr)
		return port, err
	}
	return "", errors.New("no port is free for TCP and UDP")
}
