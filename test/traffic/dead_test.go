package traffic

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// An upstream that resets while the client is idle, having said nothing or
// after some talk, ends the session at once: the client hears of it without
// having to write, and the proxy keeps nothing.
func TestUpstreamDiesBesideAnIdleClient(t *testing.T) {
	const sessions = 20
	for _, backend := range backends() {
		for name, talk := range map[string]string{"silent": "", "after talk": "ping"} {
			t.Run(backend+"/"+name, func(t *testing.T) {
				accepted := make(chan struct{}, sessions)
				die := make(chan struct{})
				upstream := serve(t, func(c *net.TCPConn) {
					echoed := make([]byte, len(talk))
					if _, err := io.ReadFull(c, echoed); err != nil {
						t.Errorf("the upstream's read: %v", err)
					}
					_, _ = c.Write(echoed) // the client tells
					accepted <- struct{}{}
					<-die
					_ = c.SetLinger(0)
				})
				idleUntilReset(t, startProxy(t, backend, upstream, "--idle-timeout", "1h"), talk, sessions, accepted, die)
			})
		}
	}
}

func idleUntilReset(t *testing.T, front *proxied, talk string, sessions int, accepted <-chan struct{}, die chan<- struct{}) {
	t.Helper()
	before := front.process.descriptors(t)
	var clients []*net.TCPConn
	for range sessions {
		c := dial(t, front.addr)
		deadline(t, c, 20*time.Second)
		clients = append(clients, c)
		if _, err := io.WriteString(c, talk); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(c, make([]byte, len(talk))); err != nil {
			t.Error(err)
		}
		<-accepted
	}
	close(die)
	for _, c := range clients {
		if n, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the idle client read %d bytes, %v; want a reset", n, err)
		}
	}
	testenv.Eventually(t, 20*time.Second, "the proxy has closed all sessions", func() bool {
		return front.process.descriptors(t) < before+sessions // each had two, the runtime may have opened some
	})
}
