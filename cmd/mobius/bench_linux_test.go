//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mobius/bench/result"
	"mobius/internal/testenv"
)

// benchNow measures with samples that are too short to say anything.
func benchNow(t *testing.T, args ...string) (out string, r *result.Report) {
	t.Helper()
	dir := t.TempDir()
	args = append(strings.Fields("bench --rounds 1 --time 40ms --warmup 5ms --syscalls=false --out "+dir), args...)
	status, out, errs := call(t, args...)
	if status != exitFine {
		t.Fatalf("mobius %q: status %d, %s\n%s", args, status, errs, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out, r
}

// The program measures itself in everything that it can serve.
func TestBenchOfMobius(t *testing.T) {
	args := []string{"--peers", strings.Join(append(backends(t), "net"), ",")}
	cases := strings.Fields("echo:3,64,2 connect:2 idle:20 unix:2 udp:2 udp-stream:1,1000,4 tls:2 handshake:2 proxy:3 proxy-idle:9 " +
		"echo:2@500")
	for _, c := range cases {
		args = append(args, "--case", c)
	}
	out, r := benchNow(t, args...)
	if len(r.Cases) != len(cases) {
		t.Fatalf("%d cases", len(r.Cases))
	}
	for i := range r.Cases {
		c := &r.Cases[i]
		if len(c.Peers) != len(backends(t))+1 {
			t.Errorf("%s: %d peers", c.Workload, len(c.Peers))
		}
		for j := range c.Peers {
			p := &c.Peers[j]
			if len(p.Rounds) != 1 || p.Rounds[0].Error != "" || p.Rounds[0].Bad != 0 {
				t.Errorf("%s, %s: %+v", c.Workload, p.Name, p.Rounds)
			} else if p.Rounds[0].Mallocs == nil {
				t.Errorf("%s, %s does not tell of its allocations", c.Workload, p.Name)
			}
		}
		if !strings.Contains(out, c.Workload+": ") {
			t.Errorf("no table of %s:\n%s", c.Workload, out)
		}
	}
}

func TestBenchOfAPeerOfOnesOwn(t *testing.T) {
	mine := "mine=" + program + " echo --listen tcp://127.0.0.1:PORT"
	out, r := benchNow(t, "--case", "echo:2", "--peers", "net", "--peer", mine, "--against", "mine")
	if p := r.Cases[0].Peer("mine"); p == nil || len(p.Rounds) != 1 || p.Rounds[0].Error != "" || p.Rounds[0].Requests == 0 {
		t.Errorf("%+v", p)
	}
	if !strings.Contains(out, "÷ mine") {
		t.Errorf("%s", out)
	}
}

// Who was asked for and fails in all rounds is the end of a run in bad order, though others have figures.
func TestBenchOfAPeerThatFails(t *testing.T) {
	args := []string{"bench", "--case", "echo:2", "--peers", "net", "--peer", "mine=false PORT", "--rounds", "1", "--time", "30ms"}
	status, out, errs := call(t, args...)
	const want = "mine has failed in all rounds of echo:2,64,1: the program has ended (exit status 1)"
	if status != exitFailed || !strings.Contains(errs, want) {
		t.Errorf("status %d, %s", status, errs)
	}
	if !strings.Contains(out, "1 rounds FAILED") {
		t.Errorf("%s", out)
	}
}

func TestBenchProfiles(t *testing.T) {
	_, r := benchNow(t, "--case", "echo:2", "--peers", backends(t)[0], "--profiles")
	p := &r.Cases[0].Peers[0]
	if info, err := os.Stat(p.Profile); err != nil || info.Size() == 0 {
		t.Errorf("the profile %q: %v", p.Profile, err)
	}
}

func TestBenchList(t *testing.T) {
	status, out, _ := call(t, "bench", "--list")
	for _, want := range []string{"handshake", "udp-stream", "c-uring-inc", "haproxy", "netpoll"} {
		if status != exitFine || !strings.Contains(out, want) {
			t.Errorf("status %d, no %s in\n%s", status, want, out)
		}
	}
}

// A whole --quick takes up to a minute.
func TestBenchQuick(t *testing.T) {
	if !testenv.Long() {
		t.Skip("takes a minute: MOBIUS_LONG=1 runs it")
	}
	status, out, errs := call(t, "bench", "--quick")
	if status != exitFine || !strings.Contains(out, "proxy: 50 connections") {
		t.Errorf("status %d, %s\n%s", status, errs, out)
	}
}

func TestBenchBadInput(t *testing.T) {
	refuses(t, []badInput{
		{"no workload", []string{"bench", "--case", "ecko"}},
		{"no command", []string{"bench", "--peer", "x"}},
		{"no peer \"nobody\"", []string{"bench", "--peers", "nobody"}},
		{"rounds", []string{"bench", "--rounds", "-1"}},
		{"profiles need a directory", []string{"bench", "--profiles"}},
		{"unexpected argument", []string{"bench", "now"}},
		{"no names", []string{"bench", "--peers", " ,"}},
		{`peer "net" is asked for twice`, []string{"bench", "--peers", "net,epoll,net"}},
		{"echo:50,64,1 is asked for twice", []string{"bench", "--case", "echo", "--case", "echo:50"}},
		{"nginx, haproxy can serve none of the cases", []string{"bench", "--case", "echo", "--peers", "nginx,haproxy"}},
		{"want more than 0", []string{"bench", "--time", "-1s"}},
		{"--out", []string{"bench", "--out", "/proc/self"}},
		{`"nobody" is not measured, want one of uring, epoll`, []string{"bench", "--peers", "uring,epoll", "--against", "nobody"}},
	})
}
