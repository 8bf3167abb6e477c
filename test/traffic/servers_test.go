package traffic

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"mobius/internal/testenv"
)

// startNginx serves a short page with keep-alive and returns its address.
func startNginx(t *testing.T) string {
	t.Helper()
	return runNginx(t, "backlog=4096", "")
}

// runNginx is startNginx with parameters of its listener and settings of its server.
func runNginx(t *testing.T, parameters, settings string) string {
	t.Helper()
	program := testenv.Program(t, "nginx")
	dir, port := t.TempDir(), freePort(t)
	user := ""
	if os.Getuid() == 0 {
		user = "user root;"
	}
	conf := fmt.Sprintf(`%s
daemon off;
worker_processes 1;
error_log stderr warn;
pid %[2]s/nginx.pid;
events { worker_connections 4096; }
http {
	access_log off;
	keepalive_requests 100000000;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	server {
		listen 127.0.0.1:%[3]d %[4]s;
		%[5]s
		location / { default_type text/plain; return 200 "The quick brown fox jumps over the lazy dog.\n"; }
	}
}
`, user, dir, port, parameters, settings)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, exec.Command(program, "-p", dir, "-e", "stderr", "-c", file), "nginx")
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	answers(t, addr)
	return addr
}

// startRedis starts a redis that stores nothing on disk and returns its port.
func startRedis(t *testing.T) int {
	t.Helper()
	program, at := testenv.Program(t, "redis-server"), freePort(t)
	start(t, exec.Command(program, "--port", strconv.Itoa(at), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", t.TempDir(), "--tcp-backlog", "511"), "redis")
	answers(t, "127.0.0.1:"+port(at))
	return at
}

func port(n int) string { return strconv.Itoa(n) }
