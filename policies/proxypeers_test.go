package policies

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"

	"mobius"
	"mobius/connector"
	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/test/backends"
)

// A site is a server that expects headers, on one loop with its clients.
type site struct {
	*backends.World
	l       *loop.Loop
	port    *mobius.Port
	made    []*sink
	refused []error
}

func newSite(w *backends.World) *site {
	w.Helper()
	s := &site{World: w, l: w.Loop()}
	f := &ProxyProtocol{
		Timeout: -1,
		Refused: func(_ mobius.Address, err error) { s.refused = append(s.refused, err) },
		Factory: mobius.FactoryFunc(func(mobius.Address) mobius.Protocol {
			s.made = append(s.made, &sink{})
			return s.made[len(s.made)-1]
		}),
	}
	var err error
	if s.port, err = connector.Listen([]*loop.Loop{s.l}, w.Address(), f, connector.ListenOptions{}); err != nil {
		w.Fatal(err)
	}
	return s
}

// A patient is a client that tries until somebody listens.
type patient struct {
	mobius.ClientBase
	p sink
}

func (f *patient) BuildProtocol(mobius.Address) mobius.Protocol { return &f.p }

func (f *patient) ConnectionFailed(c *mobius.Connector, _ error) { _ = c.ConnectAfter(10e6) }

// through sends something through the proxy at an address, after what send
// writes, and returns both ends.
func (s *site) through(at mobius.Address, send func(mobius.Address, *Wrapper)) (client, server *sink) {
	s.Helper()
	s.made, s.refused = nil, nil
	f := &patient{}
	var factory mobius.ClientFactory = f
	if send != nil {
		factory = WrapClient(f, send)
	}
	connector.Connect(s.l, connector.To(at), factory, connector.Options{})
	s.Until("connected", func() bool { return f.p.t != nil })
	if _, err := f.p.t.Write([]byte("hello")); err != nil {
		s.Fatal(err)
	}
	s.Until("the server has it", func() bool {
		return len(s.refused) > 0 || f.p.err != nil || len(s.made) > 0 && len(s.made[0].got) > 0
	})
	if len(s.refused) > 0 || f.p.err != nil || len(s.made) != 1 || string(s.made[0].got) != "hello" {
		s.Fatalf("refused %v, client %v, %d protocols", s.refused, f.p.err, len(s.made))
	}
	return &f.p, s.made[0]
}

// expects checks what a server knows of a connection.
func (s *site) expects(server *sink, version byte, source, dest mobius.Address) *proxyproto.Header {
	s.Helper()
	h := server.t.(Proxied).ProxyHeader()
	if server.t.RemoteAddr() != source || server.t.LocalAddr() != dest || h.Version != version {
		s.Errorf("%v to %v by version %d, want %v to %v by %d",
			server.t.RemoteAddr(), server.t.LocalAddr(), h.Version, source, dest, version)
	}
	return h
}

// run starts a program, which ends with the test.
func (s *site) run(files []*os.File, name string, args ...string) {
	s.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &out, &out, files
	err := cmd.Start()
	for _, f := range files {
		_ = f.Close()
	}
	if err != nil {
		stop()
		s.Fatal(err)
	}
	s.Cleanup(func() {
		stop()
		_ = cmd.Wait()
		if s.Failed() {
			s.Logf("%s: %s", name, out.String())
		}
	})
}

// listener returns a socket that listens already, to be given to a program.
func (s *site) listener() (*os.File, mobius.Address) {
	s.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		s.Fatal(err)
	}
	return f, proactor.FromNetAddr(l.Addr())
}

func (s *site) config(text string) string {
	s.Helper()
	file := filepath.Join(s.TempDir(), "conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	return file
}

const haproxyConfig = `
global
  nbthread 1
defaults
  mode tcp
  timeout connect 60s
  timeout client 60s
  timeout server 60s
  unique-id-format mobius-%%ci
listen v1
  bind fd@3
  server s %[1]v send-proxy
listen v2
  bind fd@4
  server s %[1]v send-proxy-v2 proxy-v2-options crc32c,unique-id
listen chained
  bind fd@5 accept-proxy
  server s %[1]v send-proxy-v2
listen checked
  bind fd@6
  server s %[2]v check check-send-proxy send-proxy-v2 inter 50ms
`

// HAProxy announces its clients by both versions, and understands what SendProxy
// announces; its checks are its own.
func TestHAProxy(t *testing.T) {
	program := testenv.Program(t, "haproxy")
	backends.EachReal(t, func(w *backends.World) {
		s, checked := newSite(w), newSite(w)
		var at [4]mobius.Address
		var files [4]*os.File
		for i := range at {
			files[i], at[i] = s.listener()
		}
		s.run(files[:], program, "-db", "-f", s.config(fmt.Sprintf(haproxyConfig, s.port.Addr(), checked.port.Addr())))
		client, server := s.through(at[0], nil)
		s.expects(server, 1, client.t.LocalAddr(), at[0])
		client.t.LoseConnection()

		client, server = s.through(at[1], nil)
		h := s.expects(server, 2, client.t.LocalAddr(), at[1])
		tlvs, err := h.TLVs()
		id := "mobius-" + client.t.LocalAddr().IP().String()
		if err != nil || len(tlvs) != 2 ||
			!hasTLV(tlvs, proxyproto.PP2_TYPE_UNIQUE_ID, id) || !hasTLV(tlvs, proxyproto.PP2_TYPE_CRC32C, "") {
			s.Errorf("TLVs %v, %v", tlvs, err)
		}
		client.t.LoseConnection()

		for _, version := range []byte{1, 2} {
			source, _ := mobius.ParseAddress("tcp", "[2001:db8::1]:4711")
			dest, _ := mobius.ParseAddress("tcp", "[2001:db8::2]:443")
			send, err := SendProxy(NewProxyHeader(version, source, dest))
			if err != nil {
				s.Fatal(err)
			}
			client, server = s.through(at[2], send)
			s.expects(server, 2, source, dest)
			client.t.LoseConnection()
		}
		s.Until("it was checked", func() bool { return len(checked.made) > 0 })
		server = checked.made[0]
		if local, remote := server.t.(Proxied).SocketAddrs(); !server.t.(Proxied).ProxyHeader().Command.IsLocal() ||
			server.t.LocalAddr() != local || server.t.RemoteAddr() != remote {
			s.Errorf("a check is from %v to %v: %+v", remote, local, server.t.(Proxied).ProxyHeader())
		}
	})
}

func hasTLV(tlvs []proxyproto.TLV, kind proxyproto.PP2Type, value string) bool {
	for _, t := range tlvs {
		if t.Type == kind && strings.Contains(string(t.Value), value) {
			return true
		}
	}
	return false
}

const nginxConfig = `
daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr;
load_module %[2]s;
events { worker_connections 64; }
stream {
  server { listen %[3]v; proxy_pass %[4]v; proxy_protocol on; }
}
`

// nginx announces its clients.
func TestNginx(t *testing.T) {
	program := testenv.Program(t, "nginx")
	const module = "/usr/lib/nginx/modules/ngx_stream_module.so"
	if _, err := os.Stat(module); err != nil {
		testenv.Missing(t, "nginx's stream module: %v", err)
	}
	backends.EachReal(t, func(w *backends.World) {
		s := newSite(w)
		free, at := s.listener()
		_ = free.Close()
		dir := s.TempDir()
		file := s.config(fmt.Sprintf(nginxConfig, dir, module, at, s.port.Addr()))
		s.run(nil, program, "-p", dir, "-e", "stderr", "-c", file)
		client, server := s.through(at, nil)
		s.expects(server, 1, client.t.LocalAddr(), at)
		client.t.LoseConnection()
	})
}
