package datagram

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/test/backends"
)

// A program is one of somebody else's at the other end.
type program struct {
	s     *site
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   printed
	err   printed
	ended chan error
}

// printed is what a program has written so far. It has no ReadFrom, by which
// os/exec would go around the lock.
type printed struct {
	mu    sync.Mutex
	bytes []byte
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes = append(p.bytes, b...)
	return len(b), nil
}

func (p *printed) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.bytes)
}

// run starts a program, which is ended with the test.
func (s *site) run(name string, args ...string) *program {
	s.Helper()
	p := &program{s: s, cmd: exec.Command(name, args...), ended: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	var err error
	if p.in, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		s.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	s.Cleanup(func() { p.end() })
	return p
}

// say writes to the program's standard input.
func (p *program) say(text string) {
	p.s.Helper()
	if _, err := io.WriteString(p.in, text); err != nil {
		p.s.Fatalf("%v: %v; %s", p.cmd, err, p.err.text())
	}
}

// over reports whether the program has ended.
func (p *program) over() bool {
	select {
	case err := <-p.ended:
		p.ended <- err
		return true
	default:
		return false
	}
}

// end ends the program, if it has not ended.
func (p *program) end() {
	_ = p.in.Close()
	_ = p.cmd.Process.Kill()
	p.ended <- <-p.ended // whoever asks next gets it too
}

// wait turns the loop until the program has ended in good order.
func (p *program) wait() {
	p.s.Helper()
	p.s.Until("the program has ended", p.over)
	err := <-p.ended
	p.ended <- err
	if err != nil {
		p.s.Errorf("%v: %v; %s", p.cmd, err, p.err.text())
	}
}

// echoes has the program say texts, each of which comes back as a datagram.
func (p *program) echoes() {
	p.s.Helper()
	said := ""
	for _, text := range []string{"one\n", "two\n", strings.Repeat("x", 1000) + "\n"} {
		p.say(text)
		said += text
		p.s.Until("the answer is printed", func() bool { return p.out.text() == said })
	}
	_ = p.in.Close()
	p.wait()
}

// echo returns a protocol that sends everything back.
func (s *site) echo() *log {
	p := &log{}
	p.on = func(data []byte, from proactor.Address) {
		if err := p.port.WriteTo(data, from); err != nil {
			s.Error(err)
		}
	}
	return p
}

// insist writes text again and again, since nobody may be there yet, until cond holds.
func (s *site) insist(p *Port, text string, to proactor.Address, cond func() bool) {
	s.Helper()
	for n := 0; !cond(); n++ {
		if n > 1000 {
			s.Fatalf("no answer to %q", text)
		}
		s.write(p, text, to)
		s.Pass(s.l, 20*time.Millisecond)
	}
}

// freePort returns a number that is free for UDP and for TCP: a DNS server
// wants both, and clients of other tests may have left theirs in TIME_WAIT.
func freePort(tb testing.TB) string {
	tb.Helper()
	for range 1000 {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		l, err := net.Listen("tcp4", c.LocalAddr().String())
		_ = c.Close()
		if err == nil {
			_ = l.Close()
			_, port, _ := net.SplitHostPort(c.LocalAddr().String())
			return port
		}
	}
	tb.Fatal("no number is free for UDP and for TCP")
	return ""
}

func eachReal(t *testing.T, f func(s *site)) {
	backends.EachReal(t, func(w *backends.World) { f(&site{w, w.Loop()}) })
}

func TestSocatUDP(t *testing.T) {
	socat := testenv.Program(t, "socat")
	eachReal(t, func(s *site) {
		server := s.listen(s.v4(), s.echo(), nil)
		s.run(socat, "-t", "0.1", "-", "UDP4-CONNECT:"+server.LocalAddr().String()).echoes()

		number := freePort(s)
		peer := s.run(socat, "UDP4-LISTEN:"+number+",bind=127.0.0.1", "PIPE")
		in := &log{}
		client := s.listen(s.v4(), in, nil)
		s.insist(client, "hello", address(s, "udp", "127.0.0.1:"+number), in.has(`"hello"`))
		peer.end()
	})
}

func TestSocatUnixDatagrams(t *testing.T) {
	socat := testenv.Program(t, "socat")
	eachReal(t, func(s *site) {
		dir, err := os.MkdirTemp("", "m")
		if err != nil {
			s.Fatal(err)
		}
		s.Cleanup(func() { _ = os.RemoveAll(dir) })
		at := func(name string) proactor.Address { return proactor.UnixgramAddress(filepath.Join(dir, name)) }
		server := s.listen(at("server"), s.echo(), nil)
		s.run(socat, "-t", "0.1", "-", "UNIX-SENDTO:"+server.LocalAddr().Path()+",bind="+at("socat").Path()).echoes()

		peer := s.run(socat, "UNIX-RECVFROM:"+at("peer").Path(), "PIPE")
		testenv.Eventually(s, backends.Patience, "socat has bound its socket", func() bool {
			_, err := os.Stat(at("peer").Path())
			return err == nil
		})
		in := &log{}
		client := s.listen(at("client"), in, nil)
		s.write(client, "hello", at("peer"))
		s.Until("socat's answer", in.has(`"hello"`))
		if in.from != at("peer") {
			s.Errorf("the answer came from %v", in.from)
		}
		peer.end()
	})
}

func TestSocatMulticast(t *testing.T) {
	socat := testenv.Program(t, "socat")
	eachReal(t, func(s *site) {
		const group = "239.255.77.12"
		in := &log{}
		member := s.listen(address(s, "udp", "0.0.0.0:0"), in, nil)
		if err := member.Join(proactor.Membership{Group: address(s, "udp", group+":1").IP(), Interface: "127.0.0.1"}); err != nil {
			s.Fatal(err)
		}
		_, number, _ := net.SplitHostPort(member.LocalAddr().String())
		peer := s.run(socat, "-u", "-", "UDP4-DATAGRAM:"+group+":"+number+",ip-multicast-if=127.0.0.1,ip-multicast-loop=1")
		peer.say("to all")
		s.Until("a member gets what socat has sent to the group", in.has(`"to all"`))
		_ = peer.in.Close()
		peer.wait()

		number = freePort(s)
		peer = s.run(socat, "-u", "UDP4-RECV:"+number+",ip-add-membership="+group+":127.0.0.1", "-")
		out := s.listen(s.v4(), &log{}, &Options{Socket: &proactor.SocketOptions{MulticastInterface: "127.0.0.1"}})
		s.insist(out, "from us\n", address(s, "udp", group+":"+number), func() bool {
			return strings.Contains(peer.out.text(), "from us")
		})
		peer.end()
	})
}

// A responder answers every question for an address of name with answer, as
// RFC 1035, section 4, lays it out; what else the question holds is dropped.
func responder(name string, answer [4]byte) *log {
	p := &log{}
	p.on = func(q []byte, from proactor.Address) {
		end := bytes.IndexByte(q[min(12, len(q)):], 0) + 12 + 5 // the name, its type and class
		if end < 17 || end > len(q) {
			return
		}
		r := slices.Clone(q[:end])
		r[2], r[3] = 0x84|q[2]&1, 0 // an answer, from who knows
		copy(r[4:12], []byte{0, 1, 0, 1, 0, 0, 0, 0})
		if !bytes.Equal(bytes.ToLower(r[12:end-4]), labels(name)) {
			r[3], r[7] = 3, 0 // no such name
		} else {
			r = append(r, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
			r = append(r, answer[:]...)
		}
		_ = p.port.WriteTo(r, from) // a lost answer is asked for again
	}
	return p
}

// labels is a name as it stands in a question.
func labels(name string) (out []byte) {
	for label := range strings.SplitSeq(name, ".") {
		out = append(append(out, byte(len(label))), label...)
	}
	return append(out, 0)
}

// Where dig asks, a port answers.
func TestDig(t *testing.T) {
	dig := testenv.Program(t, "dig")
	eachReal(t, func(s *site) {
		server := s.listen(s.v4(), responder("mobius.test", [4]byte{192, 0, 2, 7}), nil)
		_, number, _ := net.SplitHostPort(server.LocalAddr().String())
		for name, want := range map[string]string{"mobius.test": "192.0.2.7\n", "other.test": "NXDOMAIN"} {
			p := s.run(dig, "@127.0.0.1", "-p", number, "+time=10", "+nocookie", name, "A")
			p.wait()
			if !strings.Contains(p.out.text(), want) {
				s.Errorf("dig %s prints\n%s", name, p.out.text())
			}
		}
	})
}

// A port asks dnsmasq, and is answered.
func TestDNSServer(t *testing.T) {
	dnsmasq := testenv.Program(t, "dnsmasq")
	eachReal(t, func(s *site) {
		number := freePort(s)
		server := s.run(dnsmasq, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=",
			"--user=", "--group=", "--port="+number, "--listen-address=127.0.0.1", "--bind-interfaces", "--address=/mobius.test/192.0.2.7")
		question := string([]byte{0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}) + string(labels("a.mobius.test")) + "\x00\x01\x00\x01"
		var answer []byte
		in := &log{on: func(data []byte, _ proactor.Address) { answer = slices.Clone(data) }}
		client := s.listen(s.v4(), in, nil)
		s.insist(client, question, address(s, "udp", "127.0.0.1:"+number), func() bool { return answer != nil || server.over() })
		if !bytes.HasPrefix(answer, []byte{0xab, 0xcd}) || !bytes.HasSuffix(answer, []byte{0, 4, 192, 0, 2, 7}) {
			s.Errorf("the answer is %x; %s", answer, server.err.text())
		}
		server.end()
	})
}
