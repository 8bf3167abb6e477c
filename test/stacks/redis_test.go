package stacks

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/tidwall/redcon"

	"mobius/internal/testenv"
)

// redisServer runs a real one until the test is over, and returns its socket.
func redisServer(t *testing.T) string {
	socket := t.TempDir() + "/redis"
	cmd := exec.Command(testenv.Program(t, "redis-server"), "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return socket
}

func TestGoRedis(t *testing.T) {
	socket := redisServer(t)
	each(t, func(t *testing.T, s stack) {
		c := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, Dialer: s.DialContext, PoolSize: 20})
		t.Cleanup(func() { _ = c.Close() })
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		testenv.Eventually(t, patience, "redis answers", func() bool { return c.Ping(ctx).Err() == nil })
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				key, want := fmt.Sprint("key", i), strings.Repeat(fmt.Sprint(i), 1+i*100)
				if err := c.Set(ctx, key, want, 0).Err(); err != nil {
					t.Error(err)
				}
				if got, err := c.Get(ctx, key).Result(); err != nil || got != want {
					t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
				}
			})
		}
		all.Wait()
		sub := c.Subscribe(ctx, "news")
		defer sub.Close()
		if _, err := sub.Receive(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for range 100 {
				p.Publish(ctx, "news", "none")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if m, err := sub.ReceiveMessage(ctx); err != nil || m.Payload != "none" {
				t.Fatalf("%v, %v", m, err)
			}
		}
	})
}

// redis-benchmark wants no configuration of a server, and says so.
func TestRedcon(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		l := listen(t, s)
		var mu sync.Mutex
		keys := map[string][]byte{}
		handler := func(c redcon.Conn, cmd redcon.Command) {
			mu.Lock()
			defer mu.Unlock()
			switch strings.ToLower(string(cmd.Args[0])) {
			case "ping":
				c.WriteString("PONG")
			case "set":
				keys[string(cmd.Args[1])] = append([]byte(nil), cmd.Args[2]...)
				c.WriteString("OK")
			case "get":
				c.WriteBulk(keys[string(cmd.Args[1])])
			default:
				c.WriteError("ERR unknown command")
			}
		}
		go func() {
			_ = redcon.Serve(l, handler, func(redcon.Conn) bool { return true }, func(redcon.Conn, error) {})
		}()
		_, port, _ := strings.Cut(l.Addr().String(), ":")
		n := "50000"
		if !long() {
			n = "20000"
		}
		for _, depth := range []string{"1", "16"} {
			load(t, `(?s)PING.*SET.*GET`, "redis-benchmark", "-p", port, "-n", n, "-c", "50", "-P", depth, "-t", "ping,set,get", "-q", "-e")
		}
	})
}
