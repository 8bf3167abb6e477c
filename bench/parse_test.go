package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseCase(t *testing.T) {
	for text, want := range map[string]string{
		"echo": "echo:50,64,1", "echo:1000": "echo:1000,64,1", "echo:8,1048576": "echo:8,1048576,1",
		"echo:50,64,16":  "echo:50,64,16",
		"echo:50@2500.5": "echo:50,64,1@2500.5", "udp-stream": "udp-stream:4,1200,32", "echo: 1, 2, 3": "echo:1,2,3",
	} {
		c, err := ParseCase(text)
		if err != nil || c.String() != want {
			t.Errorf("%q: %s, %v, want %s", text, c, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "no workload", "ecko": "echo, slow, connect", "echo:1,2,3,4": "4 numbers", "echo:x": `"x" is no number`,
		"echo:":  `"" is no number`,
		"echo:0": "0 connections", "echo@0": "the rate", "echo@-1": "the rate", "idle@10": "want no rate", "udp-stream@10": "want no rate",
		"connect:2,64,2": "asks once", "udp:1,64,2@10": "when it is due", "echo:1,0": "0 bytes",
	} {
		if _, err := ParseCase(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for _, w := range Workloads() {
		if c, err := ParseCase(w.Name); err != nil || c.Workload != w.Name || w.Doc == "" {
			t.Errorf("%s: %v", w.Name, err)
		}
	}
	if len(DefaultCases()) < 15 {
		t.Error("few cases")
	}
}

func TestParsePeer(t *testing.T) {
	at := Place{Port: "7", Address: "/a/7.sock", Upstream: "u:8", Cert: "c.pem", Key: "k.pem"}
	for text, want := range map[string]string{
		"mine=serve --port PORT":                  "echo serve --port 7",
		"mine=serve PORT UPSTREAM":                "proxy serve 7 u:8",
		"mine/udp=serve PORT":                     "udp serve 7",
		"mine/unix=serve PATH":                    "unix serve /a/7.sock",
		"a.b-c_d/tls=serve PORT a=b CERT and KEY": "tls serve 7 a=b c.pem and k.pem",
		// Words, and nothing within them; and only those that the kind has.
		"mine=serve $PORT ${PORT} MY_PORT TRANSPORTS :PORT;": "echo serve $PORT ${PORT} MY_PORT TRANSPORTS :7;",
		"mine=PATH=/opt:$PATH serve --key KEY -- PORT":       "echo PATH=/opt:$PATH serve --key KEY -- 7",
		"mine=serve PORT --env MY_UPSTREAM":                  "echo serve 7 --env MY_UPSTREAM",
	} {
		p, err := ParsePeer(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		argv, err := p.Command(at)
		command := argv[len(argv)-1]
		if one := !strings.Contains(text, ";") && !strings.Contains(text, "/opt"); one != strings.HasPrefix(command, "exec ") {
			t.Errorf("%q runs %q; want exec before a program, and only there", text, command)
		}
		if got := p.Kinds[0] + " " + strings.TrimPrefix(command, "exec "); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"mine": "no command", "=x PORT": "as a name", "a b=x PORT": "as a name", "m=x": "no word PORT", "m=x EXPORT": "no word PORT",
		"m/unix=x PORT": "no word PATH", "m/what=x PORT": "kind",
		"m= ": "no command",
	} {
		if _, err := ParsePeer(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, change := range []func(*Options){
		func(o *Options) { o.Rounds = -1 }, func(o *Options) { o.Rounds = MaxRounds + 1 },
		func(o *Options) { o.Duration = MaxDuration + 1 },
		func(o *Options) { o.Warmup = -1 }, func(o *Options) { o.Budget = -1 }, func(o *Options) { o.Profiles = true },
		func(o *Options) { o.Cases = []Case{{Workload: "?"}} }, func(o *Options) { o.Cases = []Case{{Workload: "echo"}} },
	} {
		o := Options{}
		change(&o)
		if o.complete() == nil {
			t.Errorf("%+v passes", o)
		}
	}
	o := Options{Peers: []string{"net", "nobody"}}
	if _, err := o.peers(); err == nil || !strings.Contains(err.Error(), "no peer \"nobody\", there are uring") {
		t.Errorf("%v", err)
	}
	o = Options{Peers: []string{"net"}, Extra: []Peer{{Name: "net", Backend: "mine"}, {Name: "other"}}}
	peers, err := o.peers()
	if err != nil || len(peers) != 2 || peers[0].Backend != "mine" || peers[1].Name != "other" {
		t.Errorf("%+v, %v", peers, err)
	}
	names := map[string]bool{}
	for _, p := range Builtin() {
		if names[p.Name] || !peerName.MatchString(p.Name) {
			t.Errorf("the name %q", p.Name)
		}
		names[p.Name] = true
	}
	q := Quick()
	if err := q.complete(); err != nil || q.Budget > time.Minute {
		t.Errorf("%+v, %v", q, err)
	}
	for _, name := range q.Peers {
		if !names[name] {
			t.Errorf("--quick has %q, which there is not", name)
		}
	}
}

func ExampleParseCase() {
	c, err := ParseCase("echo:1000@20000")
	fmt.Println(c, err)
	_, err = ParseCase("echo:0")
	fmt.Println(err)
	// Output:
	// echo:1000,64,1@20000 <nil>
	// case "echo:0": load: 0 connections, want 1 to 60000; want WORKLOAD[:CONNS[,SIZE[,DEPTH]]][@RATE]
}

func ExampleParsePeer() {
	p, err := ParsePeer("mine=./server --listen 127.0.0.1:PORT")
	fmt.Println(p.Name, p.Kinds, err)
	// Output: mine [echo] <nil>
}

func TestStreamModuleOfNginx(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "ngx_stream_module.so")
	dynamic := "nginx version: nginx/1\nconfigure arguments: --modules-path=" + dir + " --with-stream=dynamic --with-stream_ssl_module"
	const none = "nginx has no stream module (Debian's libnginx-mod-stream)"
	check := func(said, want, failure string) {
		t.Helper()
		got, err := streamModule(said)
		if got != want || err == nil && failure != "" || err != nil && err.Error() != failure {
			t.Errorf("%s: %q, %v; want %q, %q", said, got, err, want, failure)
		}
	}
	check("configure arguments: --with-stream", "", "")
	check("configure arguments: --with-stream_ssl_module", "", none)
	check(dynamic, "", none)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check(dynamic, "load_module "+file+";\n", "")
}

// A case that the limit of descriptors cannot hold says so before it fails, and what would fit.
func TestFewDescriptors(t *testing.T) {
	for _, test := range []struct {
		text  string
		limit uint64
		want  string
	}{
		{"echo:1000", 1050, ""}, {"echo:1000", 1049, "up to 999 connections fit; more need a higher hard limit"},
		{"proxy:1000", 2050, ""}, {"proxy:1000", 2049, "up to 999 connections fit (768 through mobius proxy"},
		{"proxy:1000", 2000, "937 fit with the peer uring-direct"}, {"proxy:1000", 1049, "up to 499 connections fit"},
		{"udp:1000", 1050, ""}, {"udp:1000", 1049, "up to 999 connections fit"}, {"proxy:1000", 0, ""}, {"echo:1000", 20, "up to 0"},
	} {
		c, err := ParseCase(test.text)
		w, _ := findWorkload(c.Workload)
		got := fewDescriptors(c, w.Kind, test.limit)
		if err != nil || (got != "") != (test.want != "") || !strings.Contains(got, test.want) {
			t.Errorf("%s with %d: %q, %v, want %q", test.text, test.limit, got, err, test.want)
		}
	}
	c, _ := ParseCase("proxy:1000")
	if got := fewDescriptors(c, KindProxy, 1060); strings.Contains(got, "uring-direct") {
		t.Errorf("two tables have too few places, and: %s", got)
	}
}
