package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// proxyPeers are the proxies that most people run.
func proxyPeers() []Peer {
	return []Peer{
		{Name: "nginx", Kinds: []string{KindProxy}, Backend: "epoll", Loops: 1, Command: nginx},
		{Name: "haproxy", Kinds: []string{KindProxy}, Backend: "epoll", Loops: 1, Command: haproxy},
	}
}

// program finds one in PATH, or in sbin, which is often not in it.
func program(name string) (string, error) {
	for _, dir := range []string{"", "/usr/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", name)
}

// writeConfig writes a configuration for one start.
func writeConfig(at Place, name, text string) (string, error) {
	path := filepath.Join(at.Dir, name+"-"+at.Port+".conf")
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// nginx is one worker of its stream module, with its usual buffers.
func nginx(at Place) ([]string, error) {
	path, err := program("nginx")
	if err != nil {
		return nil, err
	}
	said, err := exec.Command(path, "-V").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s -V: %w", path, err)
	}
	module, err := streamModule(string(said))
	if err != nil {
		return nil, err
	}
	conf, err := writeConfig(at, "nginx", fmt.Sprintf(`%sdaemon off;
master_process off;
pid %s/nginx-%s.pid;
error_log stderr crit;
events { worker_connections 65536; }
stream {
	access_log off;
	server {
		listen %s backlog=4096;
		proxy_pass %s;
		proxy_connect_timeout 5s;
		tcp_nodelay on;
	}
}
`, module, at.Dir, at.Port, at.Address, at.Upstream))
	return []string{path, "-e", "stderr", "-p", at.Dir, "-c", conf}, err
}

// streamModule returns the line that loads nginx's stream module, empty if it is built
// in, by what nginx -V says of how it was configured.
func streamModule(said string) (string, error) {
	how, dir := "", ""
	for word := range strings.FieldsSeq(said) {
		if word == "--with-stream" || word == "--with-stream=dynamic" {
			how = word
		}
		if path, found := strings.CutPrefix(word, "--modules-path="); found {
			dir = path
		}
	}
	file := filepath.Join(dir, "ngx_stream_module.so")
	switch _, err := os.Stat(file); {
	case how == "--with-stream":
		return "", nil
	case how == "" || err != nil:
		return "", errors.New("nginx has no stream module (Debian's libnginx-mod-stream)")
	}
	return "load_module " + file + ";\n", nil
}

// haproxy is one thread in TCP mode; it splices what it finds large, and takes
// as many connections as the limit of descriptors allows.
func haproxy(at Place) ([]string, error) {
	path, err := program("haproxy")
	if err != nil {
		return nil, err
	}
	conf, err := writeConfig(at, "haproxy", fmt.Sprintf(`global
	nbthread 1
defaults
	mode tcp
	timeout connect 5s
	timeout client 10m
	timeout server 10m
	option splice-auto
frontend front
	bind %s
	default_backend back
backend back
	server one %s
`, at.Address, at.Upstream))
	return []string{path, "-db", "-f", conf}, err
}
