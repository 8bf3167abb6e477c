package twisted

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"mobius/endpoint"
	"mobius/proactor"
)

func TestCase363Descriptions(t *testing.T) {
	arg := func(name, value string) endpoint.Arg {
		return endpoint.Arg{Named: name != "", Name: name, Value: value}
	}
	for text, want := range map[string][]endpoint.Arg{
		`t:one:two`:             {arg("", "one"), arg("", "two")},
		`t:a\:b`:                {arg("", "a:b")},
		`t:a\\b`:                {arg("", `a\b`)},
		`t:k=v`:                 {arg("k", "v")},
		`t:k\=v`:                {arg("", "k=v")},
		`t:k=a=b`:               {arg("k", "a=b")}, // the escape is implied
		`t:k=a\:b\\:x`:          {arg("k", `a:b\`), arg("", "x")},
		`t:`:                    {arg("", "")},
		`t`:                     {},
		`t:a\b`:                 {arg("", "ab")},
		`t:path=/tmp/a\:b:mode`: {arg("path", "/tmp/a:b"), arg("", "mode")},
	} {
		d, err := endpoint.ParseDescription(text)
		if err != nil || d.Type != "t" || len(d.Args) != len(want) || len(want) > 0 && !reflect.DeepEqual(d.Args, want) {
			t.Errorf("%s: %+v, %v; want %+v", text, d, err, want)
		}
	}
	for _, text := range []string{`a:b`, `a\b`, `a=b`, `\:=`, ``, `plain`, `ü:\`} {
		d, err := endpoint.ParseDescription("t:" + endpoint.Quote(text) + ":k=" + endpoint.Quote(text))
		if err != nil || len(d.Args) != 2 || d.Args[0] != arg("", text) || d.Args[1] != arg("k", text) {
			t.Errorf("Quote(%q): %+v, %v", text, d, err)
		}
	}
	each(t, func(s *scene) {
		for text, want := range map[string]string{
			"ftq:x": "no type of client", "": "TYPE", "tcp": "no host", `tcp:a:80:\`: "backslash", "tcp:a:80:b=1": `no argument "b"`,
			"tcp:a:x": "port", "tcp:a:80:3": "one argument too many", "tcp:a:80:timeout=x": "timeout", "tcp:host=a:host=b:port=1": "twice",
			"tcp:a:80:host=b": "by its place and by its name", "k=v": "TYPE", "tcp:a:80:bindAddress=x": "bindAddress",
			"tcp:a:80:noDelay=perhaps": "yes or no", "tcp:a:80:" + strings.Repeat("x", endpoint.MaxDescription): "at most",
		} {
			if c, err := endpoint.ParseClient(desk{s: s}, text); err == nil || !strings.Contains(err.Error(), want) {
				s.Errorf("%q: %v, %v; want an error that says %q", text, c, err, want)
			}
		}
		_, err := endpoint.ParseServer(desk{s: s}, "ftq:x")
		if err == nil || !strings.Contains(err.Error(), "fd, haproxy, ssl, stdio, systemd, tcp, tcp4, tcp6, tls, unix") {
			s.Errorf("an unknown type of servers: %v", err)
		}
	})
}

func TestCase364UNIXServers(t *testing.T) {
	eachOn(t, []wire{unix}, func(s *scene) {
		path := s.address().Path()
		for text, mode := range map[string]os.FileMode{
			"unix:" + path + ":mode=660": 0o660, "unix:address=" + path + ":mode=600:lockfile=0": 0o600, "unix:" + path + ":640:7": 0o640,
		} {
			server, err := endpoint.ParseServer(desk{s: s}, text)
			if err != nil {
				s.Fatal(err)
			}
			o := server.(endpoint.UNIXServer).Options.Socket
			if os.FileMode(o.Mode) != mode || strings.HasSuffix(text, ":7") != (o.Backlog == 7) {
				s.Errorf("%s: %+v", text, *o)
			}
			p, err := result(s, server.Listen(s.silent("server")))
			if err != nil {
				s.Fatal(err)
			}
			if s.Net == nil {
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
					s.Errorf("%s: %v, %v", text, info, err)
				}
			}
			_, _ = result(s, p.StopListening())
		}
		for _, text := range []string{"unix:" + path + ":mode=8", "unix:" + path + ":mode=1777", "unix:", "unix:" + path + ":lockfile=x"} {
			if server, err := endpoint.ParseServer(desk{s: s}, text); err == nil {
				s.Errorf("%s: %v", text, server)
			}
		}
	})
}

func TestCase365Clients(t *testing.T) {
	each(t, func(s *scene) {
		d := desk{s: s}
		tcp := endpoint.TCPClient{Reactor: d, Host: "example.com", Port: 80}
		timed := tcp
		timed.Options.ConnectTimeout = 7 * time.Second
		timed.Options.Local = proactor.IPAddress(proactor.TCP, ips("10.0.0.3")[0], 0)
		for text, want := range map[string]endpoint.Client{
			"tcp:example.com:80":                                     tcp,
			"tcp:host=example.com:port=80":                           tcp,
			"tcp:port=80:host=example.com":                           tcp,
			"tcp:example.com:port=80":                                tcp,
			"tcp:example.com:80:timeout=7:bindAddress=10.0.0.3":      timed,
			"tcp:example.com:80:bindAddress=10.0.0.3\\:0:timeout=7s": timed,
			"unix:/var/run/x":                                        endpoint.UNIXClient{Reactor: d, Path: "/var/run/x"},
			"unix:path=/var/run/x":                                   endpoint.UNIXClient{Reactor: d, Path: "/var/run/x"},
		} {
			got, err := endpoint.ParseClient(d, text)
			if err != nil || !reflect.DeepEqual(got, want) {
				s.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
				continue
			}
			again, err := endpoint.ParseClient(d, got.String())
			if err != nil || !reflect.DeepEqual(again, got) {
				s.Errorf("%s is described as %v, which is %+v, %v", text, got, again, err)
			}
		}
	})
}

// What stands in a description reaches the sockets.
func TestServerDescriptions(t *testing.T) {
	each(t, func(s *scene) {
		for _, text := range []string{
			"tcp:0", "tcp4:port=0", "tcp6:0:interface=\\:\\:1",
			"tcp:0:interface=127.0.0.1:backlog=3:reusePort=yes:noDelay=no:keepAlive=9:userTimeout=2s",
			"tcp:0:127.0.0.1:5:sendBuffer=100000:recvBuffer=100000", "unix:@mobius-" + filepath.Base(s.Name()),
		} {
			server, err := endpoint.ParseServer(desk{s: s}, text)
			if err != nil {
				s.Fatalf("%s: %v", text, err)
			}
			again, err := endpoint.ParseServer(desk{s: s}, server.String())
			if err != nil || !reflect.DeepEqual(again, server) {
				s.Errorf("%s is described as %v, which is %+v, %v", text, server, again, err)
			}
			p, err := result(s, server.Listen(s.silent("server")))
			if err != nil {
				s.Fatalf("%s: %v", text, err)
			}
			_, _ = result(s, p.StopListening())
		}
		for text, want := range map[string]string{
			"tcp4:0:interface=\\:\\:1": "another family", "tcp6:0:127.0.0.1": "another family", "tcp:0:interface=x": "interface",
			"tcp:70000": "port", "tcp:80:backlog=-1": "backlog", "tcp:": "port",
		} {
			if server, err := endpoint.ParseServer(desk{s: s}, text); err == nil || !strings.Contains(err.Error(), want) {
				s.Errorf("%q: %v, %v; want an error that says %q", text, server, err, want)
			}
		}
	})
}
