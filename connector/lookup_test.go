package connector

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
)

// A numeric address is its own answer, without a worker.
func TestLookupOfANumber(t *testing.T) {
	each(t, func(s *scene) {
		for _, text := range []string{"192.0.2.1", "fe80::1%eth0"} {
			var got []netip.Addr
			ops := s.l.Backend().Stats().Submitted
			SystemResolver{}.Resolve(s.l, text, func(ips []netip.Addr, err error) { got = ips })
			if got != nil {
				s.Fatal("answered inside Resolve")
			}
			s.Until("answered", func() bool { return got != nil })
			if len(got) != 1 || got[0].String() != text {
				s.Errorf("%s is %v", text, got)
			}
			if n := s.l.Backend().Stats().Submitted - ops; s.Net != nil && n != 0 {
				s.Errorf("it took %d operations", n)
			}
		}
	})
}

// slow makes a simulated network whose workers do not begin for a while.
func slow(t *testing.T) *scene {
	faults := sim.NoFaults.Set(0.9, sim.Delay)
	return newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: faults, Hosts: map[string][]netip.Addr{"host": {here}}}))
}

// So many lookups run at once, so many wait, in order, and the next is refused.
func TestLookupsHaveALimit(t *testing.T) {
	s := slow(t)
	r := SystemResolver{Lookups: 1, Waiting: 3}
	var order []int
	errs := map[int]error{}
	for i := range 6 {
		cancel := r.Resolve(s.l, "host", func(_ []netip.Addr, err error) {
			order = append(order, i)
			errs[i] = err
		})
		if i == 3 {
			cancel() // one that waits makes room
		}
	}
	if got := s.l.Backend().Stats().Ops; got != 1 {
		t.Errorf("%d lookups run, want 1", got)
	}
	s.Until("all have ended", func() bool { return len(order) == 5 })
	if got := fmt.Sprint(order); got != "[5 0 1 2 4]" {
		t.Errorf("the order is %s: the refusal needs no worker, the others come in their turn", got)
	}
	var dns *net.DNSError
	if err := errs[5]; !errors.Is(err, ErrTooManyLookups) || !errors.As(err, &dns) || !dns.Temporary() {
		t.Errorf("the one too many: %v", err)
	}
	for i := range 5 {
		if errs[i] != nil {
			t.Errorf("lookup %d: %v", i, errs[i])
		}
	}
}

// A lookup that takes too long fails at exactly that time, and its late answer
// is nobody's concern.
func TestLookupTimeout(t *testing.T) {
	s := slow(t)
	began, at := s.l.Now(), time.Duration(0)
	var errs []error
	SystemResolver{Timeout: time.Microsecond}.Resolve(s.l, "host", func(_ []netip.Addr, err error) {
		errs, at = append(errs, err), s.l.Now()
	})
	s.Until("the worker is done", func() bool { return s.l.Backend().Stats().Ops == 0 })
	var dns *net.DNSError
	if len(errs) != 1 || !errors.As(errs[0], &dns) || !dns.Timeout() || !errors.Is(errs[0], os.ErrDeadlineExceeded) {
		t.Fatalf("answers %v", errs)
	}
	if at-began != time.Microsecond {
		t.Errorf("it came after %v", at-began)
	}
	if all := lookupsOf(s.l); all.active != 0 || len(all.waiting) != 0 {
		t.Errorf("%d lookups run, %d wait", all.active, len(all.waiting))
	}
}

func TestLookupCancelled(t *testing.T) {
	each(t, func(s *scene) {
		gone := false
		cancel := SystemResolver{}.Resolve(s.l, "localhost", func([]netip.Addr, error) {
			if gone {
				s.Error("answered after the cancel")
			}
		})
		s.Turn() // on a real system it may be answered here
		gone = true
		cancel()
		s.Until("the worker is done", func() bool { return s.l.Backend().Stats().Ops == 0 })
		cancel()
		cancel = SystemResolver{}.Resolve(s.l, "::1", func([]netip.Addr, error) { s.Error("answered") })
		cancel()
		s.Turn()
	})
}

// The way there and back changes nothing.
func TestStreamedAndCollected(t *testing.T) {
	s := quiet(t)
	names := known{"host": addrs("2001:db8::1", "10.0.0.1")}
	for family, want := range map[Family]int{AnyFamily: 2, IPv4: 1, IPv6: 1} {
		var got []netip.Addr
		Collected{From: Streamed{names}, Family: family}.Resolve(s.l, "host", func(ips []netip.Addr, err error) { got = ips })
		s.Until("answered", func() bool { return got != nil })
		if len(got) != want || family != AnyFamily && got[0].Is4() != (family == IPv4) {
			t.Errorf("family %d: %v", family, got)
		}
	}
	var failed error
	Collected{From: Streamed{names}}.Resolve(s.l, "nobody", func(_ []netip.Addr, err error) { failed = err })
	s.Until("answered", func() bool { return failed != nil })
	if !errors.Is(failed, ErrNoAddress) {
		t.Error(failed)
	}
	failed = nil
	Collected{From: Streamed{names}}.Resolve(s.l, "a..b", func(_ []netip.Addr, err error) { failed = err })
	s.Until("answered", func() bool { return failed != nil })
	cancel := Collected{From: Streamed{names}}.Resolve(s.l, "host", func([]netip.Addr, error) { t.Error("answered") })
	cancel()
	s.Turn()
}

// quitter is a receiver that cancels as soon as it can.
type quitter struct {
	t  *testing.T
	r  *Resolution
	at int // 0: when it begins; else with that address
	n  int
}

func (q *quitter) ResolutionBegan(r *Resolution) {
	q.r = r
	if q.at == 0 {
		r.Cancel()
	}
}

func (q *quitter) AddressResolved(proactor.Address) {
	if q.n++; q.n == q.at {
		q.r.Cancel()
	}
}

func (q *quitter) ResolutionComplete() { q.t.Error("complete after the cancel") }

func TestReceiverThatCancels(t *testing.T) {
	s := quiet(t)
	names := known{"host": addrs("2001:db8::1", "10.0.0.1", "10.0.0.2")}
	for at := range 4 {
		q := &quitter{t: t, at: at}
		Streamed{names}.ResolveHost(s.l, Question{Host: "host"}, q)
		s.Turn()
		s.Turn()
		if q.n != at {
			t.Errorf("%d addresses, want %d", q.n, at)
		}
	}
}

func TestASCIIHost(t *testing.T) {
	long := strings.Repeat("a", 63)
	for from, want := range map[string]string{
		"example.com": "example.com", "Example.COM.": "Example.COM.", "localhost": "localhost", "_srv._tcp.x": "_srv._tcp.x",
		"bücher.example": "xn--bcher-kva.example", "BÜCHER。example": "xn--bcher-kva.example",
		"例え.テスト": "xn--r8jz45g.xn--zckzah", "президент.рф": "xn--d1abbgf6aiiy.xn--p1ai",
		"faß.de": "xn--fa-hia.de", "☃.net": "xn--n3h.net",
		long + ".x": long + ".x",
		"":          "", ".": "", "a..b": "", ".a": "", "a b": "", "a\x00b": "", "a\xffb": "", long + "a": "",
		strings.Repeat(long+".", 4): "", "\u200b.com": "", strings.Repeat("ü", 60): "",
	} {
		got, err := ASCIIHost(from)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v; want %q", from, got, err, want)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "host ") {
			t.Errorf("%q: %v", from, err)
		}
	}
}

// Names reach the resolver in ASCII, and one that has no such form fails the
// attempt, not Connect.
func TestForeignNames(t *testing.T) {
	s := quiet(t)
	o := &oracle{}
	f := s.plant("client")
	Connect(s.l, Destination{host: "bücher.example", port: 80}, f, Options{Resolver: o})
	if o.asked[0] != "xn--bcher-kva.example" {
		t.Errorf("asked for %q", o.asked[0])
	}
	g := s.plant("bad")
	c := Connect(s.l, Destination{host: "a..b", port: 80}, g, Options{Resolver: o})
	s.Until("failed", func() bool { return c.State() == Idle })
	if len(o.asked) != 1 || kindOf(g.errs[0]) != "failed" {
		t.Errorf("asked %v, failed with %v", o.asked, g.errs)
	}
	if f.c != nil {
		f.c.Disconnect()
	}
	s.Turn()
}
