package netconn

import (
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"

	"mobius"
)

// Typed dials meet typed accepts; the local address that a call names takes the
// place of the Dialer's.
func TestTypedDialsAndAccepts(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		d := &Dialer{Reactor: r, LocalAddr: &net.UDPAddr{}}
		for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
			tcp := listens(t, r, "tcp", at)
			to := tcp.Addr().(*net.TCPAddr).AddrPort()
			c, err := d.DialTCP(t.Context(), "tcp", netip.AddrPortFrom(to.Addr(), 0), to)
			if err != nil {
				t.Fatal(err)
			}
			peer, err := tcp.AcceptTCP()
			if err != nil {
				t.Fatal(err)
			}
			if got := peer.RemoteAddr().String(); got != c.LocalAddr().String() {
				t.Errorf("accepted %s, which dialed from %s", got, c.LocalAddr())
			}
			_, _ = c.Close(), peer.Close()
			if u, err := tcp.AcceptUnix(); u != nil || !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("AcceptUnix of TCP: %v, %v", u, err)
			}
			if err := tcp.Close(); err != nil {
				t.Error(err)
			}
			if c, err := tcp.AcceptTCP(); c != nil || !errors.Is(err, net.ErrClosed) {
				t.Errorf("AcceptTCP after Close: %v, %v", c, err)
			}
			if c, err := d.DialTCP(t.Context(), "tcp", netip.AddrPort{}, to); c != nil || !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("DialTCP of nobody: %v, %v", c, err)
			}
		}
		dir := t.TempDir()
		unix := listens(t, r, "unix", filepath.Join(dir, "s"))
		from := &net.UnixAddr{Name: filepath.Join(dir, "c"), Net: "unix"}
		c, err := d.DialUnix(t.Context(), "unix", from, unix.Addr().(*net.UnixAddr))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		peer, err := unix.AcceptUnix()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		if got := peer.RemoteAddr().String(); got != from.Name {
			t.Errorf("accepted %q, which is bound to %q", got, from.Name)
		}
		if c, err := unix.AcceptTCP(); c != nil || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("AcceptTCP of unix: %v, %v", c, err)
		}
	})
}

func listens(t *testing.T, r *mobius.Reactor, network, at string) *Listener {
	t.Helper()
	l, err := Listen(r, network, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.(*Listener)
}

func TestTypedDialOfUDP(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		d := &Dialer{Reactor: r}
		for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
			p, err := ListenPacket(r, "udp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			to := p.LocalAddr().(*net.UDPAddr).AddrPort()
			c, err := d.DialUDP(t.Context(), "udp", netip.AddrPortFrom(to.Addr(), 0), to)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 10)
			n, from, err := p.ReadFrom(b)
			if err != nil || string(b[:n]) != "hello" || from.String() != c.LocalAddr().String() {
				t.Errorf("%q from %v, %v, want hello from %v", b[:n], from, err, c.LocalAddr())
			}
		}
	})
}

// What the typed dials refuse, and why.
func TestTypedDialErrors(t *testing.T) {
	everyRealBackend(t, func(t *testing.T, r *mobius.Reactor) {
		d, ctx := &Dialer{Reactor: r}, t.Context()
		none, to := netip.AddrPort{}, netip.MustParseAddrPort("127.0.0.1:1")
		for name, c := range map[string]struct {
			err  error
			want string
		}{
			"TCP network":  {second(d.DialTCP(ctx, "udp", none, to)), "dial udp: unknown network udp"},
			"TCP address":  {second(d.DialTCP(ctx, "tcp", none, none)), "dial tcp: missing address"},
			"UDP network":  {second(d.DialUDP(ctx, "tcp", none, to)), "dial tcp: unknown network tcp"},
			"UDP address":  {second(d.DialUDP(ctx, "udp", none, none)), "dial udp: missing address"},
			"unix network": {second(d.DialUnix(ctx, "unixgram", nil, nil)), "dial unixgram: unknown network unixgram"},
			"unix address": {second(d.DialUnix(ctx, "unix", nil, nil)), "dial unix: missing address"},
			"other family": {second(d.DialTCP(ctx, "tcp6", none, to)), "dial tcp6: address 127.0.0.1: no suitable address found"},
		} {
			if c.err == nil || c.err.Error() != c.want {
				t.Errorf("%s: %v, want %s", name, c.err, c.want)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
