package sim

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/proactor"
)

func TestMulticastReachesMembersOnly(t *testing.T) {
	w := quiet(t, 1)
	b := w.hosts[0]
	all := must(proactor.ParseAddress("udp", "0.0.0.0:5353"))
	share := &proactor.SocketOptions{ReusePort: true, RecvTTL: proactor.On, RecvLocal: proactor.On}
	m := proactor.Membership{Group: netip.MustParseAddr("224.0.0.251")}
	to := proactor.IPAddress(proactor.UDP, m.Group, 5353)
	from, _ := must2(b.Packet(udp, nil))
	one, _ := must2(b.Packet(all, share))
	two, _ := must2(b.Packet(all, share))
	in1, got1 := receive(b, one)
	_, got2 := receive(b, two)
	for _, h := range []proactor.Handle{one, two} {
		if err := b.Join(h, m); err != nil {
			t.Fatal(err)
		}
	}
	sendTo(b, from, to, "both", nil)
	w.pass(time.Second)
	if i := in1.Msg.Info; i.TTL != 1 || i.Local != m.Group || i.Has != proactor.HasTTL|proactor.HasLocal {
		t.Fatalf("info %+v", i)
	}
	if err := b.Leave(two, m); err != nil {
		t.Fatal(err)
	}
	if err := b.Leave(two, m); err != syscall.EADDRNOTAVAIL {
		t.Fatalf("Leave of what is no member: %v", err)
	}
	sendTo(b, from, to, "one", nil)
	w.pass(time.Second)
	if err := b.SetOptions(from, &proactor.SocketOptions{MulticastLoop: proactor.Off}); err != nil {
		t.Fatal(err)
	}
	sendTo(b, from, to, "none", nil)
	w.pass(time.Second)
	if a, b := strings.Join(*got1, "|"), strings.Join(*got2, "|"); a != "both|one" || b != "both" {
		t.Fatalf("%q, %q", a, b)
	}
}

func TestMembershipErrors(t *testing.T) {
	w := quiet(t, 1)
	b := w.hosts[0]
	h, _ := must2(b.Packet(udp, nil))
	stream, _ := must2(b.Listen(loopback, nil))
	for _, c := range []struct {
		h     proactor.Handle
		group string
		want  error
	}{
		{0, "224.0.0.1", proactor.ErrClosed},
		{stream, "224.0.0.1", syscall.EOPNOTSUPP},
		{h, "127.0.0.1", syscall.EINVAL},
		{h, "ff02::1", syscall.EAFNOSUPPORT},
	} {
		m := proactor.Membership{Group: netip.MustParseAddr(c.group)}
		if err := b.Join(c.h, m); err != c.want {
			t.Errorf("Join of %s: %v, want %v", c.group, err, c.want)
		}
		if err := b.Leave(c.h, m); err != c.want {
			t.Errorf("Leave of %s: %v, want %v", c.group, err, c.want)
		}
	}
}
