package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mobius/internal/testenv"
)

// call runs mobius to its end.
func call(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// A badInput is arguments that cannot be served, and a part of what is said to that.
type badInput struct {
	want string
	args []string
}

// refuses checks that each is one clear line on stderr and exit status 2.
func refuses(t *testing.T, inputs []badInput) {
	t.Helper()
	for _, c := range inputs {
		if strings.Contains(c.want, "Linux") && goos != "linux" {
			continue
		}
		status, out, errs := call(t, c.args...)
		if status != exitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, c.want) {
			t.Errorf("mobius %q: status %d, stdout %q, stderr %q; want status 2 and one line with %q", c.args, status, out, errs, c.want)
		}
		if !strings.HasPrefix(errs, "mobius") {
			t.Errorf("mobius %q: stderr does not say who speaks: %q", c.args, errs)
		}
	}
}

// What cannot be done as asked is one clear line on stderr and exit status 2.
func TestBadInput(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	udp := "udp://" + taken.LocalAddr().String()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	port, to := "tcp://"+busy.Addr().String(), "--to=tcp://127.0.0.1:9"
	free := "--listen=tcp://127.0.0.1:0"
	refuses(t, []badInput{
		{`unknown command "prox"`, []string{"prox"}},
		{`unknown command "--nonsense"`, []string{"--nonsense"}},
		{"not defined: -nonsense", []string{"proxy", "--nonsense"}},
		{`unexpected argument "extra"`, []string{"proxy", "extra"}},
		{`unexpected argument "extra"`, []string{"probe", "extra"}},
		{`unexpected argument "extra"`, []string{"version", "extra"}},
		{"flag needs an argument: -listen", []string{"proxy", "--listen"}},
		{"has no scheme", []string{"proxy", "--listen", "127.0.0.1:8080"}},
		{`--to "udp://127.0.0.1:9" has nobody to come from: give --listen udp://HOST:PORT`, []string{"proxy", "--to", "udp://127.0.0.1:9"}},
		{`--listen "udp://127.0.0.1:0" has nowhere to go: give --to udp://HOST:PORT`, []string{"proxy", "--listen", "udp://127.0.0.1:0"}},
		{`--listen "udp://127.0.0.1:0" has nowhere to go`, []string{"proxy", "--listen", "udp://127.0.0.1:0", to}},
		{`has nowhere to go: give --to tcp://HOST:PORT`, []string{"proxy", free, "--listen=udp://127.0.0.1:0", "--to=udp://127.0.0.1:9"}},
		{`has nobody to come from: give --listen tcp://`, []string{"proxy", "--listen=udp://127.0.0.1:0", "--to=udp://127.0.0.1:9", to}},
		{"--udp-timeout is 0s", []string{"proxy", free, to, "--udp-timeout", "0"}},
		{"--clients is -1", []string{"proxy", free, to, "--clients", "-1"}},
		{"--udp-clients is 0", []string{"proxy", free, to, "--udp-clients", "0"}},
		{"no host to connect to", []string{"proxy", "--listen=udp://127.0.0.1:0", "--to", "udp://:53"}},
		{"address already in use", []string{"proxy", "--listen", udp, "--to", "udp://127.0.0.1:9"}},
		{"address already in use", []string{"echo", "--listen", udp}},
		{`scheme is "http"`, []string{"proxy", free, "--to", "http://127.0.0.1:8080"}},
		{`port is "99999"`, []string{"proxy", "--listen", "tcp://127.0.0.1:99999"}},
		{"path is relative", []string{"proxy", "--listen", "unix://x"}},
		{"no host to connect to", []string{"proxy", free, "--to", "tcp://:80"}},
		{`host "no-such-host.invalid" has no address`, []string{"proxy", free, "--to", "tcp://no-such-host.invalid:80"}},
		{"address already in use", []string{"proxy", "--listen", port, to}},
		{"address already in use", []string{"proxy", "--listen", port}},
		{"address already in use", []string{"proxy", "--listen", port, to, "--loops", "2", "--reuseport"}},
		{"address already in use", []string{"proxy", free, "--listen", port, to}},
		{"address already in use", []string{"proxy", free, to, "--status", busy.Addr().String()}},
		{"address already in use", []string{"echo", "--listen", port}},
		{"--listen \"unix://" + file, []string{"echo", "--listen", "unix://" + file}},
		{"cannot assign requested address", []string{"echo", "--listen", "tcp://192.0.2.1:0"}},
		{"--status \"nonsense\": want HOST:PORT", []string{"proxy", free, to, "--status", "nonsense"}},
		{`--backend is "select"`, []string{"proxy", free, to, "--backend", "select"}},
		{`backend "kqueue": Linux has uring, epoll and netpoll`, []string{"echo", free, "--backend", "kqueue"}},
		{"--loops is 0", []string{"proxy", free, to, "--loops", "0"}},
		{"--loops is 1000000", []string{"proxy", free, to, "--loops", "1000000"}},
		{"invalid value \"x\" for flag -loops", []string{"proxy", free, to, "--loops", "x"}},
		{"--idle-timeout is -1s", []string{"proxy", free, to, "--idle-timeout", "-1s"}},
		{"--connect-timeout is 0s", []string{"proxy", free, to, "--connect-timeout", "0"}},
		{"--drain-timeout is -1s", []string{"proxy", free, to, "--drain-timeout", "-1s"}},
		{"invalid value \"soon\"", []string{"proxy", free, to, "--drain-timeout", "soon"}},
		{"--listen is missing", []string{"echo"}},
		{"65 --to, want at most 64", append([]string{"proxy", free}, repeat(to, 65)...)},
	})
	if status, _, errs := call(t); status != exitUsage || !strings.Contains(errs, "Usage:") {
		t.Errorf("mobius alone: status %d, stderr %q", status, errs)
	}
}

// A message says what would be right, too; what can only go round in a circle is
// refused.
func TestBadInputIsTold(t *testing.T) {
	to, free := "--to=tcp://127.0.0.1:9", "--listen=tcp://127.0.0.1:0"
	refuses(t, []badInput{
		{`--to "udp://127.0.0.1:7001" goes round in a circle: it is what --listen "udp://:7001" accepts`,
			[]string{"proxy", "--listen=udp://:7001", "--to=udp://127.0.0.1:7001"}},
		{`goes round in a circle: it is what --listen "tcp://0.0.0.0:7001"`,
			[]string{"proxy", "--listen=tcp://0.0.0.0:7001", "--to=tcp://localhost:7001"}},
		{`goes round in a circle: it is what --listen "unix:///tmp/x"`,
			[]string{"proxy", free, "--listen=unix:///tmp/x", to, "--to=unix:///tmp/x"}},
		{`fe80::1 is an address of one network only, and needs that one's interface, as in [fe80::1%eth0]`,
			[]string{"echo", "--listen=tcp://[fe80::1]:0"}},
		{`invalid value "x" for flag -udp-clients: parse error, want a whole number;`, []string{"proxy", "--udp-clients", "x"}},
		{`invalid value "30" for flag -udp-timeout: parse error, want a time such as 30s or 1m30s;`,
			[]string{"proxy", "--udp-timeout", "30"}},
		{`for flag -listen: it is given twice, and was "tcp://127.0.0.1:0" before`, []string{"echo", free, "--listen=tcp://127.0.0.1:1"}},
	})
}

func TestBadCertificates(t *testing.T) {
	authority := testenv.NewCA(t)
	cert, key, ca := authority.Files(authority.Issue("server.test"))
	_, otherKey, _ := authority.Files(authority.Issue("server.test"))
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	to, free, secure := "--to=tcp://127.0.0.1:9", "--listen=tcp://127.0.0.1:0", "--listen=tls://127.0.0.1:0"
	refuses(t, []badInput{
		{`--listen "tls://127.0.0.1:0" needs a certificate: give --cert FILE and --key FILE`, []string{"proxy", secure, to}},
		{"needs a certificate: give --cert FILE", []string{"proxy", free, secure, to, "--key", key}},
		{"needs a certificate: give --cert FILE", []string{"echo", secure}},
		{`--cert "no.pem": no such file`, []string{"proxy", secure, to, "--cert", "no.pem", "--key", key}},
		{`--key "no.pem": no such file`, []string{"echo", secure, "--cert", cert, "--key", "no.pem"}},
		{`--cert "` + dir + `": is a directory`, []string{"echo", secure, "--cert", dir, "--key", key}},
		{"failed to find any PEM data", []string{"echo", secure, "--cert", file, "--key", key}},
		{"private key does not match", []string{"proxy", secure, to, "--cert", cert, "--key", otherKey}},
		{"a certificate rather than a key", []string{"proxy", secure, to, "--cert", cert, "--key", ca}},
		{"--cert \"" + cert + "\" and --key", []string{"proxy", secure, to, "--cert", cert}},
		{"there is no certificate in it", []string{"proxy", secure, to, "--cert", cert, "--key", key, "--client-ca", key}},
		{`--client-ca "no.pem": no such file`, []string{"echo", secure, "--cert", cert, "--key", key, "--client-ca", "no.pem"}},
		{`--cert "` + cert + `" is of no use: no --listen is tls://`, []string{"proxy", free, to, "--cert", cert, "--key", key}},
		{"is of no use: no --listen is tls://", []string{"echo", free, "--client-ca", ca}},
		{`--ca "` + ca + `" is of no use: no --to is tls://`, []string{"proxy", free, to, "--ca", ca}},
		{`--servername "x" is of no use`, []string{"proxy", free, "--servername", "x"}},
		{`--ca "no.pem": no such file`, []string{"proxy", free, "--to", "tls://127.0.0.1:9", "--ca", "no.pem"}},
		{"there is no certificate in it", []string{"proxy", free, "--to", "tls://127.0.0.1:9", "--ca", file}},
		{`ServerName "ünï.test" is no ASCII host name`, []string{"proxy", free, "--to", "tls://127.0.0.1:9", "--servername", "ünï.test"}},
		{"as in tls://127.0.0.1:8080", []string{"proxy", free, "--to", "tls://127.0.0.1"}},
		{"want HOST:PORT or unix:///PATH", []string{"echo", free, "--status", "tls://127.0.0.1:0"}},
		{"not defined: -ca", []string{"echo", free, "--ca", ca}},
	})
}

func repeat(s string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = s
	}
	return out
}

func TestHelp(t *testing.T) {
	for want, args := range map[string][]string{
		"mobius proxy":            {"help"},
		"mobius echo":             {"--help"},
		"-half-closed-timeout":    {"proxy", "--help"},
		"unix:///PATH":            {"help", "proxy"},
		"Usage: mobius echo":      {"echo", "-h"},
		"Usage: mobius probe":     {"probe", "--help"},
		"go1.":                    {"version"},
		" " + goos + "/" + goarch: {"--version"},
	} {
		status, out, errs := call(t, args...)
		if status != 0 || errs != "" || !strings.Contains(out, want) {
			t.Errorf("mobius %q: status %d, stdout %q, stderr %q; want %q", args, status, out, errs, want)
		}
	}
}

// Every flag that the help of a command names is explained there.
func TestHelpNamesEveryFlag(t *testing.T) {
	for command, flags := range map[string][]string{
		"proxy": {"listen", "to", "backend", "loops", "status", "connect-timeout", "idle-timeout", "half-closed-timeout",
			"drain-timeout", "reuseport", "access-log", "cert", "key", "client-ca", "ca", "servername", "udp-timeout", "udp-clients"},
		"echo":  {"listen", "backend", "loops", "status", "drain-timeout", "cert", "key", "client-ca"},
		"probe": {"json"},
	} {
		_, out, _ := call(t, command, "--help")
		for _, f := range flags {
			if !strings.Contains(out, "  -"+f) {
				t.Errorf("mobius %s --help does not name --%s", command, f)
			}
		}
	}
}

func TestProbe(t *testing.T) {
	status, out, errs := call(t, "probe", "--json")
	var report struct {
		OS      string
		Version string
		Backend struct{ Name, Why string }
		Error   string
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || status != 0 || errs != "" {
		t.Fatalf("status %d, %v, stderr %q", status, err, errs)
	}
	if report.OS != goos || report.Version == "" || report.Error != "" ||
		report.Backend.Name != backends(t)[0] || report.Backend.Why == "" {
		t.Errorf("probe says %+v, want the backend %s", report, backends(t)[0])
	}
	status, out, errs = call(t, "probe")
	if status != 0 || errs != "" || !strings.Contains(out, "backend     "+backendTitle(report.Backend.Name)+": "+report.Backend.Why) {
		t.Errorf("status %d, stdout %q, stderr %q", status, out, errs)
	}
}
