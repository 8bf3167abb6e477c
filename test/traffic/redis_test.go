package traffic

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"mobius/internal/testenv"
)

// redis-benchmark sends single commands, pipelines of 16, and values of
// 100 KB through the proxy; it ends with an error at the first wrong reply.
func TestRedisBenchmark(t *testing.T) {
	bench, cli := testenv.Program(t, "redis-benchmark"), testenv.Program(t, "redis-cli")
	eachProxy(t, func(t *testing.T, start func(*testing.T, string, ...string) *proxied) {
		front := start(t, net.JoinHostPort("127.0.0.1", port(startRedis(t))))
		_, at, err := net.SplitHostPort(front.addr)
		if err != nil {
			t.Fatal(err)
		}
		n := "10000"
		if testenv.Long() {
			n = "300000"
		}
		run := func(program string, args ...string) string {
			out, err := exec.Command(program, append([]string{"-h", "127.0.0.1", "-p", at}, args...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%s %.100v: %v\n%.1000s", program, args, err, out)
			}
			return string(out)
		}
		for _, args := range [][]string{
			{"-c", "50", "-n", n, "-t", "ping,set,get,lpush,lrange_100"},
			{"-c", "50", "-n", n, "-P", "16", "-t", "set,get"},
			{"-c", "20", "-n", "1000", "-d", "100000", "-t", "set,get"},
		} {
			out := run(bench, append(args, "-q", "--csv")...)
			if strings.Contains(strings.ToLower(out), "err") {
				t.Errorf("redis-benchmark %v: %s", args, out)
			}
			if testenv.Long() {
				t.Logf("redis-benchmark %v:\n%s", args, out)
			}
		}
		value := strings.Repeat("möbius ", 12000) // 96 KB: an argument is at most 128 KiB
		if out := run(cli, "set", "k", value); strings.TrimSpace(out) != "OK" {
			t.Errorf("SET through the proxy: %q", out)
		}
		if out := run(cli, "get", "k"); strings.TrimSuffix(out, "\n") != value {
			t.Errorf("GET through the proxy: %d bytes, want the %d that were set", len(out), len(value))
		}
	})
}
