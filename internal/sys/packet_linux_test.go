//go:build linux

package sys

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

func packet(t *testing.T, s *Sockets, network, text string, o *proactor.SocketOptions) (*Entry, proactor.Address) {
	t.Helper()
	h, bound, err := s.Packet(parse(t, network, text), o)
	if err != nil {
		t.Fatalf("Packet(%s, %s): %v", network, text, err)
	}
	return s.Lookup(h), bound
}

// sent sends one datagram.
func sent(t *testing.T, e *Entry, p []byte, to proactor.Address, msg *proactor.Msg) {
	t.Helper()
	var m Message
	var files []int
	if msg != nil {
		files = msg.Files
	}
	if err := m.Out(e, p, &to, msg, files); err != nil {
		t.Fatalf("Out: %v", err)
	}
	if n, errno := m.Send(int(e.Handle().Index())); errno != 0 || n != len(p) {
		t.Fatalf("Send: %d, %v", n, errno)
	}
}

// came receives one datagram into a buffer of size bytes.
func came(t *testing.T, s *Sockets, e *Entry, size int) (p []byte, from proactor.Address, msg proactor.Msg) {
	t.Helper()
	var m Message
	p = make([]byte, size)
	m.In(p, true)
	n, errno := 0, unix.EAGAIN
	testenv.Eventually(t, 5*time.Second, "a datagram", func() bool {
		n, errno = m.Receive(int(e.Handle().Index()))
		return errno != unix.EAGAIN
	})
	if errno != 0 {
		t.Fatalf("Receive: %v", errno)
	}
	s.Came(e, &m, &proactor.Op{Addr: &from, Msg: &msg})
	return p[:n], from, msg
}

var told = proactor.SocketOptions{RecvTrafficClass: proactor.On, RecvTTL: proactor.On, RecvLocal: proactor.On}

func TestInfoTravelsBothWaysInBothFamilies(t *testing.T) {
	s := open(t)
	for _, host := range []string{"127.0.0.1", "[::1]", ""} {
		from, src := packet(t, s, "udp", host+":0", nil)
		to, dst := packet(t, s, "udp", host+":0", &told)
		if host == "" { // both families on one socket
			dst = proactor.IPAddress(proactor.UDP, netip.MustParseAddr("127.0.0.1"), dst.Port())
			src = dst.WithPort(src.Port())
		}
		out := &proactor.Msg{Info: proactor.Info{Has: proactor.HasTTL, TTL: 7}}
		out.Info.SetECN(proactor.ECT0)
		sent(t, from, []byte("hello"), dst, out)
		p, peer, in := came(t, s, to, 100)
		i := in.Info
		if string(p) != "hello" || peer != src || i.TTL != 7 || i.ECN() != proactor.ECT0 || i.Local != dst.IP() || i.Interface == 0 {
			t.Fatalf("%v: %q from %v (want %v), %+v", dst, p, peer, src, i)
		}
		back := &proactor.Msg{Info: proactor.Info{Has: proactor.HasLocal, Local: i.Local, Interface: i.Interface}}
		sent(t, to, nil, peer, back)
		if p, peer, _ := came(t, s, from, 100); len(p) != 0 || peer != dst {
			t.Fatalf("the answer: %q from %v, want it from %v", p, peer, dst)
		}
	}
}

func TestTruncationIsTold(t *testing.T) {
	s := open(t)
	from, _ := packet(t, s, "udp", "127.0.0.1:0", nil)
	to, dst := packet(t, s, "udp", "127.0.0.1:0", nil)
	sent(t, from, []byte("too long"), dst, nil)
	sent(t, from, []byte("fit"), dst, nil)
	if p, _, m := came(t, s, to, 3); string(p) != "too" || !m.Truncated {
		t.Fatalf("%q, truncated: %v", p, m.Truncated)
	}
	if p, _, m := came(t, s, to, 3); string(p) != "fit" || m.Truncated {
		t.Fatalf("%q, truncated: %v", p, m.Truncated)
	}
}

func TestSegmentsAreCutAndJoined(t *testing.T) {
	s := open(t)
	from, _ := packet(t, s, "udp", "127.0.0.1:0", nil)
	one, dst1 := packet(t, s, "udp", "127.0.0.1:0", nil)
	all, dst2 := packet(t, s, "udp", "127.0.0.1:0", &proactor.SocketOptions{SegmentedReceive: proactor.On})
	text := []byte("abcdefgh")
	sent(t, from, text, dst1, &proactor.Msg{SegmentSize: 3})
	for _, want := range []string{"abc", "def", "gh"} {
		if p, _, m := came(t, s, one, 100); string(p) != want || m.SegmentSize != 0 {
			t.Fatalf("%q, segments of %d, want %q", p, m.SegmentSize, want)
		}
	}
	sent(t, from, text, dst2, &proactor.Msg{SegmentSize: 3})
	if p, _, m := came(t, s, all, 100); string(p) != string(text) || m.SegmentSize != 3 {
		t.Fatalf("%q, segments of %d", p, m.SegmentSize)
	}
}

func TestPacketOptionsAreReadBack(t *testing.T) {
	s := open(t)
	want := proactor.SocketOptions{
		TTL: 9, Broadcast: proactor.On, MulticastTTL: 5, MulticastLoop: proactor.Off, MulticastInterface: "1",
		RecvTrafficClass: proactor.On, RecvTTL: proactor.On, RecvLocal: proactor.On, SegmentedReceive: proactor.On,
	}
	for _, at := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		e, _ := packet(t, s, "udp", at, &want)
		if want.MulticastInterface = "1"; at[0] == '1' {
			want.MulticastInterface = "127.0.0.1" // which is all that the kernel tells of IPv4's
		}
		got, err := s.Options(e.Handle())
		got.SendBuffer, got.RecvBuffer, got.V6Only = 0, 0, proactor.Unset
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v\nwant %+v", at, got, err, want)
		}
		if err := s.SetOptions(e.Handle(), &proactor.SocketOptions{Broadcast: proactor.Off, MulticastTTL: -1}); err != nil {
			t.Error(err)
		}
		if got, _ := s.Options(e.Handle()); got.Broadcast != proactor.Off || got.MulticastTTL != -1 || got.TTL != 9 {
			t.Errorf("%s: after a change %+v", at, got)
		}
	}
}

// multicasting returns the interface that a group of this host can be reached
// by: IPv4 has the loopback for that, IPv6 no route by it.
func multicasting(t *testing.T, group string) string {
	t.Helper()
	if netip.MustParseAddr(group).Is4() {
		return "lo"
	}
	return testenv.Multicaster(t)
}

func TestMulticastMembership(t *testing.T) {
	s := open(t)
	for group, at := range map[string]string{"239.1.2.3": "0.0.0.0:0", "ff12::4321": "[::]:0"} {
		name := multicasting(t, group)
		to, bound := packet(t, s, "udp", at, &proactor.SocketOptions{ReusePort: true})
		from, _ := packet(t, s, "udp", at, &proactor.SocketOptions{MulticastInterface: name})
		m := proactor.Membership{Group: netip.MustParseAddr(group), Interface: name}
		dst := proactor.IPAddress(proactor.UDP, m.Group, bound.Port())
		if err := s.Join(to.Handle(), m); err != nil {
			t.Fatalf("Join of %s: %v", group, err)
		}
		sent(t, from, []byte("all"), dst, nil)
		if p, _, _ := came(t, s, to, 10); string(p) != "all" {
			t.Fatalf("%q", p)
		}
		if err := s.Leave(to.Handle(), m); err != nil {
			t.Fatalf("Leave of %s: %v", group, err)
		}
		if err := s.Leave(to.Handle(), m); err != unix.EADDRNOTAVAIL {
			t.Fatalf("Leave of %s again: %v", group, err)
		}
		m.Source = map[bool]netip.Addr{true: netip.MustParseAddr("127.0.0.1"), false: netip.MustParseAddr("::1")}[m.Group.Is4()]
		if err := s.Join(to.Handle(), m); err != nil {
			t.Fatalf("Join of %s from %v: %v", group, m.Source, err)
		}
		if err := s.Leave(to.Handle(), m); err != nil {
			t.Fatalf("Leave of %s from %v: %v", group, m.Source, err)
		}
		m.Group = m.Source
		if err := s.Join(to.Handle(), m); !errors.Is(err, unix.EINVAL) {
			t.Errorf("Join of what is no group: %v", err)
		}
	}
}

func TestUnixDatagramSockets(t *testing.T) {
	s := open(t)
	path := filepath.Join(t.TempDir(), "d")
	to, dst := packet(t, s, "unixgram", path, &proactor.SocketOptions{Mode: 0o600, RecvCredentials: proactor.On})
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", st, err)
	}
	if _, _, err := s.Packet(dst, nil); err != unix.EADDRINUSE {
		t.Fatalf("a second socket at %v: %v", dst, err)
	}
	from, name := packet(t, s, "unixgram", "", nil)
	if name.Path() != "" {
		t.Fatalf("bound to %v", name)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	sent(t, from, []byte("take it"), dst, &proactor.Msg{Files: []int{int(w.Fd())}})
	w.Close()
	p, _, m := came(t, s, to, 100)
	if string(p) != "take it" || len(m.Files) != 1 || m.Info.Credentials.PID != os.Getpid() || int(m.Info.Credentials.UID) != os.Getuid() {
		t.Fatalf("%q, %+v", p, m)
	}
	if fl, err := unix.FcntlInt(uintptr(m.Files[0]), unix.F_GETFD, 0); err != nil || fl&unix.FD_CLOEXEC == 0 {
		t.Errorf("a received file: flags %x, %v", fl, err)
	}
	CloseFiles(m.Files)
	r.Close()
	if err := s.CloseFD(to.Handle()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is left: %v", err)
	}
	if err := (&Message{}).Out(from, nil, &name, &proactor.Msg{SegmentSize: 3}, nil); err != unix.EOPNOTSUPP {
		t.Errorf("segments on a unix socket: %v", err)
	}
}

func TestPeerCredentials(t *testing.T) {
	s := open(t)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Adopt(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Adopt(fds[1]); err != nil {
		t.Fatal(err)
	}
	c, err := s.PeerCredentials(a)
	if err != nil || c.PID != os.Getpid() || int(c.UID) != os.Getuid() || int(c.GID) != os.Getgid() {
		t.Fatalf("%+v, %v", c, err)
	}
	udp, _ := packet(t, s, "udp", "127.0.0.1:0", nil)
	if _, err := s.PeerCredentials(udp.Handle()); err != unix.EOPNOTSUPP {
		t.Errorf("of a UDP socket: %v", err)
	}
}

func TestMessagesAllocateNothing(t *testing.T) {
	s := open(t)
	from, _ := packet(t, s, "udp", "127.0.0.1:0", nil)
	to, dst := packet(t, s, "udp", "127.0.0.1:0", &told)
	var batch Batch
	batch.Init(4)
	var in proactor.Msg
	var peer proactor.Address
	op := &proactor.Op{Addr: &peer, Msg: &in}
	out := &proactor.Msg{Info: proactor.Info{Has: proactor.HasTTL, TTL: 3}}
	p, q := make([]byte, 1000), make([]byte, 1000)
	round := func() {
		for i := range batch.Len() {
			if err := batch.At(i).Out(from, p, &dst, out, nil); err != nil {
				t.Fatal(err)
			}
		}
		if n, e := batch.Send(int(from.Handle().Index()), 4); n != 4 || e != 0 {
			t.Fatal(n, e)
		}
		for i := range batch.Len() {
			batch.In(i, q, true)
		}
		if n, e := batch.Receive(int(to.Handle().Index()), 4); n != 4 || e != 0 || batch.Bytes(3) != len(p) {
			t.Fatal(n, e)
		}
		for i := range batch.Len() {
			s.Came(to, batch.At(i), op)
		}
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations for four datagrams there and back", n)
	}
	if in.Info.TTL != 3 {
		t.Errorf("TTL %d", in.Info.TTL)
	}
}
