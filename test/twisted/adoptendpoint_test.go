package twisted

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"mobius"
	"mobius/connector"
	"mobius/endpoint"
	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// wantClosed checks that a descriptor of the test's is closed.
func (s *scene) wantClosed(fd int) {
	s.Helper()
	if own, err := s.l.Sockets().Duplicate(fd); !errors.Is(err, syscall.EBADF) {
		s.Errorf("descriptor %d is still there: %v, %v", fd, own, err)
	}
}

// serves checks that a server endpoint listens at an address, for f, and stops it.
func (s *scene) serves(server endpoint.Server, at proactor.Address) {
	s.Helper()
	f, client := s.silent("server"), s.silent("client")
	p, err := result(s, server.Listen(f))
	if err != nil {
		s.Fatal(err)
	}
	if p.Addr() != at {
		s.Errorf("listening at %v, want %v", p.Addr(), at)
	}
	s.connect(at, client)
	s.Until("both are connected", func() bool { return len(f.made) == 1 && len(client.made) == 1 && client.made[0].t != nil })
	_, err = result(s, p.StopListening())
	s.try(err)
	client.made[0].t.LoseConnection()
	s.bothLost(f.made[0], client.made[0])
}

// refuses checks that a server endpoint does not listen, and why.
func (s *scene) refuses(server endpoint.Server, want error) {
	s.Helper()
	f := s.silent("nobody")
	if p, err := result(s, server.Listen(f)); p != nil || !errors.Is(err, want) {
		s.Errorf("%v: %v, %v; want %v", server, p, err, want)
	} else if !strings.Contains(err.Error(), server.String()) {
		s.Errorf("%q does not name the endpoint %v", err, server)
	}
}

func (s *scene) parseServer(r endpoint.Reactor, text string) endpoint.Server {
	s.Helper()
	server, err := endpoint.ParseServer(r, text)
	s.try(err)
	return server
}

// An adopted server listens once. The descriptor that it was given becomes
// O_NONBLOCK and is closed; the second use is refused.
func TestCase335AdoptedServerEndpoint(t *testing.T) {
	eachStream(t, func(s *scene) {
		fd, at := s.listening()
		server := s.parseServer(office{desk: desk{s: s}}, fmt.Sprintf("fd:%d", fd))
		if server.String() != fmt.Sprintf("fd:fileno=%d", fd) {
			s.Errorf("it describes itself as %v", server)
		}
		if s.Net == nil {
			s.try(syscall.SetNonblock(fd, false))
		}
		s.serves(server, at) // no loop could turn if it blocked
		s.wantClosed(fd)
		s.refuses(server, endpoint.ErrUsed)
		s.idle()
	})
}

// The error says what is wrong, and the descriptor stays where no port was made
// of it.
func TestCase335WhatCannotBeAdopted(t *testing.T) {
	eachStream(t, func(s *scene) {
		o := office{desk: desk{s: s}}
		fd, at := s.listening()
		right := map[wire]string{tcp4: "INET", tcp6: "INET6", unix: "UNIX"}[s.wire]
		for _, domain := range []string{"INET", "INET6", "UNIX"} {
			if domain != right {
				s.refuses(s.parseServer(o, fmt.Sprintf("fd:%d:%s", fd, domain)), syscall.EAFNOSUPPORT)
			}
		}
		s.refuses(s.parseServer(desk{s: s}, fmt.Sprint("fd:", fd)), errors.ErrUnsupported)
		boom := &starter{FactoryFunc: func(mobius.Address) mobius.Protocol { return nil }}
		boom.OnStart = func() { panic("no") }
		if _, err := result(s, s.parseServer(o, fmt.Sprint("fd:", fd)).Listen(boom)); kindOf(err) != "panicked" {
			s.Errorf("a factory that panics: %v", err)
		}
		s.panics(1)
		s.refuses(s.parseServer(o, "fd:1000000"), syscall.EBADF)
		a, _ := s.streams()
		s.refuses(s.parseServer(o, fmt.Sprint("fd:", a)), syscall.EINVAL)
		s.serves(s.parseServer(o, fmt.Sprintf("fd:domain=%s:fileno=%d:idleTimeout=1h", right, fd)), at)
		s.wantClosed(fd)
		s.idle()
	})
}

// index and name choose a socket; to give both is an error, and so is what
// nobody has handed over.
func TestCase367SystemdDescriptions(t *testing.T) {
	eachStream(t, func(s *scene) {
		domain := map[wire]string{tcp4: "INET", tcp6: "INET6", unix: "UNIX"}[s.wire]
		first, at := s.listening()
		second, other := s.listening()
		p := endpoint.NewParser()
		p.Inherited = endpoint.NewInheritance([]mobius.ListenFD{{FD: first, Name: "web"}, {FD: second, Name: "log"}, {FD: 99, Name: "log"},
			{FD: second, Name: "mail"}})
		parse := func(text string) endpoint.Server {
			s.Helper()
			server, err := p.Server(office{desk: desk{s: s}}, text)
			s.try(err)
			if server.String() != text {
				s.Errorf("%s describes itself as %v", text, server)
			}
			return server
		}
		byIndex, byName := parse("systemd:"+domain+":index=0"), parse("systemd:domain="+domain+":name=web")
		s.serves(parse("systemd:"+domain+":index=1"), other)
		s.serves(byName, at)
		s.wantClosed(first)
		s.refuses(byIndex, endpoint.ErrUsed) // its number may be another's by now
		s.refuses(parse("systemd:name=mail"), endpoint.ErrUsed)
		for text, want := range map[string]string{
			"systemd:INET:index=0:name=web": "both given", "systemd:INET": "no index and no name", "systemd:INET:index=4": "4 sockets",
			"systemd:INET:name=ftp": `"web", "log"`, "systemd:INET:name=log": "1, 2", "systemd:IPX:index=0": "INET, INET6 or UNIX",
			"systemd:INET:index=x": "index", "systemd:INET:index=0:backlog=3": `no argument "backlog"`,
			"systemd:INET:0": "one argument too many",
		} {
			if server, err := p.Server(office{desk: desk{s: s}}, text); err == nil || !strings.Contains(err.Error(), want) {
				s.Errorf("%q: %v, %v; want an error that says %q", text, server, err, want)
			}
		}
	})
}

// Without LISTEN_FDS there is nothing to choose from.
func TestCase367WithoutAManager(t *testing.T) {
	if os.Getenv("LISTEN_FDS") != "" {
		t.Skip("this process was started by a manager of sockets")
	}
	for _, text := range []string{"systemd:INET:index=0", "systemd:INET:name=web"} {
		if server, err := endpoint.ParseServer(nil, text); err == nil || !strings.Contains(err.Error(), "LISTEN_FDS") {
			t.Errorf("%s: %v, %v", text, server, err)
		}
	}
}

// Every option of sockets and of connections can be written, and is written
// again as it was read.
func TestOptionsInDescriptions(t *testing.T) {
	each(t, func(s *scene) {
		for text, want := range map[string]any{
			"tcp:0:interface=127.0.0.1:keepAlive=9:keepAliveInterval=2s:keepAliveCount=4:userTimeout=1m": proactor.SocketOptions{
				KeepAlive: 9e9, KeepAliveInterval: 2e9, KeepAliveCount: 4, UserTimeout: 60e9},
			"tcp:0:notSentLowat=16384:freeBind=yes:noDelay=no": proactor.SocketOptions{
				NotSentLowat: 16384, FreeBind: true, Delay: proactor.On},
			"tcp6:0:v6Only=yes:backlog=7:sendBuffer=100000:recvBuffer=200000": proactor.SocketOptions{
				V6Only: proactor.On, Backlog: 7, SendBuffer: 100000, RecvBuffer: 200000},
			"tcp6:0:v6Only=no:keepAlive=no": proactor.SocketOptions{V6Only: proactor.Off, KeepAlive: -1},
			"tcp:0:highWater=4096:lowWater=1024:hardLimit=65536:zeroCopyFrom=32768": transport.Options{
				HighWater: 4096, LowWater: 1024, HardLimit: 65536, ZeroCopyFrom: 32768},
			"tcp:0:closeTimeout=7:halfClosedTimeout=8:idleTimeout=1m": transport.Options{
				CloseTimeout: 7e9, HalfClosedTimeout: 8e9, IdleTimeout: 60e9},
			"tcp:0:lowWater=0:closeTimeout=no:halfClosedTimeout=no": transport.Options{
				LowWater: -1, CloseTimeout: -1, HalfClosedTimeout: -1},
		} {
			server := s.parseServer(desk{s: s}, text)
			o := server.(endpoint.TCPServer).Options
			if w, ok := want.(proactor.SocketOptions); ok && (o.Socket == nil || *o.Socket != w || o.Transport != nil) {
				s.Errorf("%s: %+v", text, o.Socket)
			}
			if w, ok := want.(transport.Options); ok && (o.Transport == nil || *o.Transport != w || o.Socket != nil) {
				s.Errorf("%s: %+v", text, o.Transport)
			}
			if again := s.parseServer(desk{s: s}, server.String()); !reflect.DeepEqual(again, server) {
				s.Errorf("%s is described as %v, which is %+v", text, server, again)
			}
			if p, err := result(s, server.Listen(s.silent("server"))); err != nil {
				s.Errorf("%s: %v", text, err)
			} else {
				_, _ = result(s, p.StopListening())
			}
		}
		for text, want := range map[string]string{
			"tcp:0:keepAliveCount=1000": "KeepAliveCount is 1000", "tcp:0:keepAliveInterval=no": "keepAliveInterval",
			"tcp:0:keepAlive=9000h": "KeepAlive",
			"tcp:0:v6Only=x":        "v6Only", "tcp:0:freeBind=x": "freeBind", "tcp:0:idleTimeout=-1s": "idleTimeout",
			"tcp:0:keepalive=9":   "highWater, idleTimeout, interface, keepAlive, keepAliveCount, keepAliveInterval",
			"unix:/x:keepAlive=9": "lockfile", "fd:3:backlog=9": "domain, fileno", "stdio:x": "one argument too many",
			"stdio::in=3": "too many",
			"fd:":         "no fileno", "fd:x": "fileno", "fd:3:INETS": "domain",
		} {
			if server, err := endpoint.ParseServer(desk{s: s}, text); err == nil || !strings.Contains(err.Error(), want) {
				s.Errorf("%q: %v, %v; want an error that says %q", text, server, err, want)
			}
		}
		text := "tcp:host=a:port=1:timeout=no:attemptDelay=no:keepAlive=no:freeBind=yes:idleTimeout=5s"
		c, err := endpoint.ParseClient(desk{s: s}, text)
		if err != nil || c.String() != text || c.(endpoint.TCPClient).Options.ConnectTimeout != -1 {
			s.Errorf("%s: %+v, %v", text, c, err)
		}
	})
}

// Standard input and output are a server's one connection, once.
func TestStdioEndpoint(t *testing.T) {
	each(t, func(s *scene) {
		in, feed := s.streams()
		out, from := s.streams()
		server := s.parseServer(office{desk{s: s}, in, out}, "stdio:")
		f := s.plant("io")
		p, err := result(s, server.Listen(f))
		s.try(err)
		if p.Addr().IsValid() || p.Loop() != s.l || server.String() != "stdio:" {
			s.Errorf("port %v at %v", p, p.Addr())
		}
		_, err = result(s, p.StopListening()) // the connection lives on
		s.try(err)
		_, err = s.speaker(feed).Write([]byte("hello"))
		s.try(err)
		reader := s.silent("reader")
		_, err = connector.AdoptConnection(s.l, from, reader, nil)
		s.try(err)
		s.Until("the input has come", func() bool { return string(f.made[0].got) == "hello" })
		f.made[0].write("answer")
		s.Until("the output has come", func() bool { return string(reader.made[0].got) == "answer" })
		f.made[0].t.LoseConnection()
		s.await("io lost: done")
		s.expect("io build", "io made", "io lost: done")
		s.refuses(server, endpoint.ErrUsed)
		s.refuses(s.parseServer(desk{s: s}, "stdio:"), errors.ErrUnsupported)
		_, err = result(s, s.parseServer(office{desk{s: s}, in, out}, "stdio").Listen(
			mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return nil })))
		if !errors.Is(err, connector.ErrNoProtocol) || kindOf(err) != "refused" {
			s.Errorf("without a protocol: %v", err)
		}
		_, err = result(s, s.parseServer(office{desk{s: s}, in, out}, "stdio").Listen(
			mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { panic("no") })))
		if kindOf(err) != "panicked" {
			s.Errorf("a factory that panics: %v", err)
		}
		s.panics(1)
		s.l.Stop()
		s.Until("the loop ends", func() bool { return s.l.Err() == loop.ErrStopped })
	})
}
