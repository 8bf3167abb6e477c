package twisted

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius"
	"mobius/connector"
	"mobius/endpoint"
	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
	"mobius/transport/pipe"
	"mobius/transport/process"
)

// A desk is a reactor as endpoints see it, on a scene's loop.
type desk struct {
	s        *scene
	resolver connector.Resolver
}

func (d desk) Connect(to mobius.Destination, f mobius.ClientFactory, o mobius.ConnectOptions) (*mobius.Connector, error) {
	if o.Resolver == nil {
		o.Resolver = d.resolver
	}
	return connector.Connect(d.s.l, to, f, o), nil
}

func (d desk) Listen(addr mobius.Address, f mobius.Factory, o mobius.ListenOptions) (*mobius.Port, error) {
	return connector.Listen([]*loop.Loop{d.s.l}, addr, f, o)
}

func (d desk) Loops() []*mobius.Loop { return []*mobius.Loop{d.s.l} }

// An office is a desk with all that endpoints may want.
type office struct {
	desk
	in, out int // standard input and output
}

func (o office) AdoptStreamPort(from any, f mobius.Factory, p mobius.ListenOptions) (*mobius.Port, error) {
	return connector.Adopt([]*loop.Loop{o.s.l}, from.(int), f, p)
}

func (o office) AddrOf(fd int) (mobius.Address, error) {
	own, err := o.s.l.Sockets().Duplicate(fd)
	if err != nil {
		return mobius.Address{}, err
	}
	h, err := o.s.l.Sockets().Adopt(own)
	if err != nil {
		return mobius.Address{}, err
	}
	defer func() { o.s.try(o.s.l.Sockets().CloseFD(h)) }()
	at, _, err := o.s.l.Sockets().Names(h)
	return at, err
}

func (o office) Discard(fd int) error { return o.s.l.Sockets().Discard(fd) }

func (o office) SpawnProcess(p mobius.ProcessProtocol, c mobius.Command) (*mobius.Process, error) {
	return process.Spawn(o.s.l, p, c)
}

func (o office) Stdio(p mobius.Protocol) (mobius.Transport, error) {
	limits := pipe.Limits{High: 10, Low: 5, Hard: 1 << 20}
	return pipe.Start(o.s.l, o.s.copyOf(o.in), o.s.copyOf(o.out), limits, p), nil
}

// copyOf returns a handle of a duplicate of fd.
func (s *scene) copyOf(fd int) proactor.Handle {
	s.Helper()
	own, err := s.l.Sockets().Duplicate(fd)
	s.try(err)
	h, err := s.l.Sockets().Adopt(own)
	s.try(err)
	return h
}

// clientTo returns a client endpoint that goes to an address.
func (s *scene) clientTo(a proactor.Address) endpoint.Client {
	if a.IsUnix() {
		return endpoint.UNIXClient{Reactor: desk{s: s}, Path: a.String()}
	}
	return endpoint.TCPClient{Reactor: desk{s: s}, Host: a.IP().String(), Port: a.Port()}
}

// serverAt returns a server endpoint at an address.
func (s *scene) serverAt(a proactor.Address) endpoint.Server {
	if a.IsUnix() {
		return endpoint.UNIXServer{Reactor: desk{s: s}, Path: a.String()}
	}
	return endpoint.TCPServer{Reactor: desk{s: s}, Addr: a}
}

// fails checks that a future fails, and how.
func fails(s *scene, f *loop.Future[mobius.Protocol], kind transport.Kind, cause error) {
	s.Helper()
	p, err := result(s, f)
	var e *transport.ConnError
	if p != nil || !errors.As(err, &e) || e.Kind != kind || cause != nil && !errors.Is(err, cause) {
		s.Errorf("the result is %v, %v; want %v: %v", p, err, kind, cause)
	}
}

func TestCase347ConnectSucceeds(t *testing.T) {
	eachStream(t, func(s *scene) {
		p := s.listen(s.silent("server"))
		client := s.plant("client")
		got, err := result(s, s.clientTo(p.Addr()).Connect(s.Context(), client))
		if err != nil || len(client.made) != 1 || got != mobius.Protocol(client.made[0]) || client.made[0].t == nil {
			s.Fatalf("the result is %v, %v; made %v", got, err, client.made)
		}
		s.expect("client start", "client connecting", "client build", "client made")
		client.made[0].t.LoseConnection()
		s.await("client stop") // the factory learns of the loss, which Twisted swallows
		s.expect("client lost: done", "client connector lost: done", "client stop")
	})
}

func TestCase348NobodyListens(t *testing.T) {
	eachTCP(t, func(s *scene) {
		fails(s, s.clientTo(s.deadEnd()).Connect(s.Context(), s.silent("client")), transport.Refused, syscall.ECONNREFUSED)
	})
	t.Run("unix", func(t *testing.T) {
		eachOn(t, []wire{unix}, func(s *scene) {
			fails(s, s.clientTo(s.deadEnd()).Connect(s.Context(), s.silent("client")), transport.Failed, syscall.ENOENT)
		})
	})
}

// A pending attempt is given up by the future's Cancel, and by the end of the
// context: it stops, and the error names the address.
func TestCase349Cancel(t *testing.T) {
	eachTCP(t, func(s *scene) {
		to := s.deadEnd()
		f := s.clientTo(to).Connect(s.Context(), s.plant("client"))
		f.Cancel()
		fails(s, f, transport.Aborted, loop.ErrCanceled)
		if _, err := result(s, f); !strings.Contains(err.Error(), to.String()) {
			s.Errorf("%q does not name %v", err, to)
		}
		s.await("client stop")
		s.expect("client start", "client connecting", "client failed: aborted", "client stop")

		ctx, stop := context.WithCancelCause(s.Context())
		f = s.hostTo(&book{}, "never", 80).Connect(ctx, s.plant("client"))
		late := errors.New("too late")
		stop(late)
		testenv.Eventually(s, backends.Patience, "the end of the context is noticed", func() bool {
			s.Turn()
			return done(f)
		})
		fails(s, f, transport.Aborted, late)
		s.await("client stop")
		s.expect("client start", "client connecting", "client failed: aborted", "client stop")
		fails(s, s.clientTo(to).Connect(ctx, s.silent("client")), transport.Aborted, late)
	})
}

func TestCase351Listen(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.silent("server")
		p, err := result(s, s.serverAt(s.address()).Listen(server))
		if err != nil {
			s.Fatal(err)
		}
		s.connect(p.Addr(), s.silent("client"))
		s.Until("connected", func() bool { return len(server.made) == 1 })
		_, err = result(s, s.serverAt(p.Addr()).Listen(s.silent("second")))
		if !errors.Is(err, syscall.EADDRINUSE) {
			s.Errorf("a second one: %v", err)
		}
		if _, err := result(s, p.StopListening()); err != nil {
			s.Error(err)
		}
	})
}

func TestCase352NoProtocol(t *testing.T) {
	eachStream(t, func(s *scene) {
		p := s.listen(s.silent("server"))
		f := s.clientTo(p.Addr()).Connect(s.Context(), mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return nil }))
		fails(s, f, transport.Refused, connector.ErrNoProtocol)
		boom := errors.New("boom")
		f = s.clientTo(p.Addr()).Connect(s.Context(), mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { panic(boom) }))
		fails(s, f, transport.Panicked, boom)
		client := s.silent("client")
		client.talker.onMade = func(*talker) { panic(boom) }
		fails(s, s.clientTo(p.Addr()).Connect(s.Context(), client), transport.Panicked, boom)
		s.panics(2)
	})
}

// A starter counts the calls of its hooks.
type starter struct {
	connector.Started
	connector.FactoryFunc
}

func TestCase353StartAndStop(t *testing.T) {
	each(t, func(s *scene) {
		started, stopped := 0, 0
		f := &starter{FactoryFunc: func(mobius.Address) mobius.Protocol { return nil }}
		f.OnStart, f.OnStop = func() { started++ }, func() { stopped++ }
		c := s.clientTo(s.deadEnd()).Connect(s.Context(), f)
		if started != 1 {
			s.Errorf("started %d times", started)
		}
		fails(s, c, transport.Refused, nil)
		s.Until("stopped", func() bool { return stopped == 1 })
		p, err := result(s, s.serverAt(s.address()).Listen(f))
		if err != nil || started != 2 {
			s.Errorf("%v; started %d times", err, started)
		}
		_, _ = result(s, p.StopListening())
		if stopped != 2 {
			s.Errorf("stopped %d times", stopped)
		}
	})
}

func TestCase355FailureIsPassedOn(t *testing.T) {
	s := newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults.Set(1, sim.Timeout)}), tcp4)
	c := endpoint.TCPClient{Reactor: desk{s: s}, Host: "192.0.2.1", Port: 80}
	fails(s, c.Connect(s.Context(), s.silent("client")), transport.TimedOut, os.ErrDeadlineExceeded)
	c.Options.ConnectTimeout = -1
	fails(s, c.Connect(s.Context(), s.silent("client")), transport.TimedOut, syscall.ETIMEDOUT)
}

// hostTo returns an endpoint that goes to a name.
func (s *scene) hostTo(b *book, name string, port uint16) endpoint.Client {
	return endpoint.TCPClient{Reactor: desk{s, b}, Host: name, Port: port, Options: mobius.ConnectOptions{ConnectTimeout: -1}}
}

func TestCase356HostName(t *testing.T) {
	each(t, func(s *scene) {
		b := &book{knows: map[string][]netip.Addr{"one": ips("127.0.0.1"), "three": ips("127.0.0.3", "127.0.0.2", "127.0.0.1")}}
		p := s.listen(s.silent("server"))
		for _, name := range []string{"one", "three"} {
			client := s.silent("client")
			got, err := result(s, s.hostTo(b, name, p.Addr().Port()).Connect(s.Context(), client))
			if err != nil || got != mobius.Protocol(client.made[0]) || client.peers[0] != p.Addr() {
				s.Errorf("%s: %v, %v, peers %v", name, got, err, client.peers)
			}
		}
		s.stop(p)
		for _, name := range []string{"one", "three"} {
			fails(s, s.hostTo(b, name, p.Addr().Port()).Connect(s.Context(), s.silent("client")), transport.Refused, syscall.ECONNREFUSED)
		}
	})
}

func TestCase357CancelOfAHostName(t *testing.T) {
	s := newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults}), tcp4)
	b := &book{knows: map[string][]netip.Addr{"two": ips("192.0.2.1", "192.0.2.2")}}
	for _, ip := range b.knows["two"] {
		s.dead(proactor.IPAddress(proactor.TCP, ip, 80))
	}
	before := s.l.Backend().Stats()
	for name, after := range map[string]time.Duration{
		"while resolving": 0, "before all attempts": 100 * time.Millisecond, "after all attempts": 400 * time.Millisecond,
	} {
		s.events = nil
		f := s.hostTo(b, "two", 80).Connect(s.Context(), s.plant("client"))
		if after > 0 {
			s.Pass(s.l, after)
			if tried := s.l.Backend().Stats().Handles - before.Handles; tried != 1 && after < 250*time.Millisecond || tried == 0 {
				t.Errorf("%s: %d addresses are being tried", name, tried)
			}
		}
		f.Cancel()
		fails(s, f, transport.Aborted, loop.ErrCanceled)
		if _, err := result(s, f); !strings.Contains(err.Error(), "two:80") {
			t.Errorf("%s: %q does not name the host", name, err)
		}
		s.await("client stop")
		if now := s.l.Backend().Stats(); now.Ops != before.Ops || now.Handles != before.Handles {
			t.Errorf("%s: %d operations and %d handles are left", name, now.Ops-before.Ops, now.Handles-before.Handles)
		}
	}
}

func TestCase359UnknownAddress(t *testing.T) {
	each(t, func(s *scene) {
		b := &book{knows: map[string][]netip.Addr{"odd": append([]netip.Addr{{}}, ips("127.0.0.1")...)}}
		p := s.listen(s.silent("server"))
		if _, err := result(s, s.hostTo(b, "odd", p.Addr().Port()).Connect(s.Context(), s.silent("client"))); err != nil {
			s.Error(err)
		}
	})
}

func TestCase360NoAddress(t *testing.T) {
	each(t, func(s *scene) {
		b := &book{
			knows: map[string][]netip.Addr{"empty": {}},
			fails: map[string]error{"nobody": &net.DNSError{Err: "no such host", Name: "nobody", IsNotFound: true}},
		}
		fails(s, s.hostTo(b, "empty", 80).Connect(s.Context(), s.silent("client")), transport.Failed, connector.ErrNoAddress)
		f := s.hostTo(b, "nobody", 80).Connect(s.Context(), s.silent("client"))
		fails(s, f, transport.Failed, nil)
		var dns *net.DNSError
		if _, err := result(s, f); !errors.As(err, &dns) || !dns.IsNotFound {
			s.Errorf("failed with %v", err)
		}
	})
}

func TestCase361BadHostName(t *testing.T) {
	each(t, func(s *scene) {
		for _, name := range []string{"a..b", "\xff", strings.Repeat("x", 64), "a b", ""} {
			c := s.hostTo(&book{}, name, 80)
			fails(s, c.Connect(s.Context(), s.silent("client")), transport.Failed, nil)
		}
	})
}

// wrapped is a factory around another that notes what it is asked for.
type wrapped struct {
	mobius.Factory
	s *scene
}

// outer is a protocol around another.
type outer struct{ transport.Protocol }

func (o outer) Unwrap() any { return o.Protocol }

func (w wrapped) BuildProtocol(peer mobius.Address) mobius.Protocol {
	w.s.note("wrap")
	p := w.Factory.BuildProtocol(peer)
	if p == nil {
		return nil
	}
	return outer{p}
}

func (w wrapped) Unwrap() any { return w.Factory }

func TestCase371Wrapper(t *testing.T) {
	eachStream(t, func(s *scene) {
		wrap := func(f mobius.Factory) mobius.Factory { return wrapped{f, s} }
		server := s.silent("server")
		p, err := result(s, endpoint.WrapServer("w", s.serverAt(s.address()), wrap).Listen(server))
		if err != nil {
			s.Fatal(err)
		}
		client := s.plant("client")
		got, err := result(s, endpoint.WrapClient("w", s.clientTo(p.Addr()), wrap).Connect(s.Context(), client))
		if err != nil || got != mobius.Protocol(client.made[0]) {
			s.Errorf("the result is %v, %v, not the inner protocol", got, err)
		}
		s.Until("accepted", func() bool { return len(server.made) == 1 })
		if n := strings.Count(fmt.Sprint(s.events), "wrap"); n != 2 {
			s.Errorf("%d protocols were wrapped, want one on each side: %v", n, s.events)
		}
		client.made[0].t.LoseConnection()
		_, _ = result(s, p.StopListening())
		s.await("client stop")

		s.events = nil
		end := endpoint.WrapClient("w", s.clientTo(s.deadEnd()), wrap)
		f := end.Connect(s.Context(), s.silent("x"))
		p2, err := result(s, f)
		if want := syscall.ECONNREFUSED; p2 != nil || !errors.Is(err, want) && !errors.Is(err, syscall.ENOENT) {
			s.Errorf("a failure: %v, %v", p2, err)
		}
		f = end.Connect(s.Context(), s.plant("client"))
		f.Cancel()
		fails(s, f, transport.Aborted, loop.ErrCanceled)
		s.await("client stop")
	})
}

// A protocol that is there already.
func TestConnectProtocol(t *testing.T) {
	eachStream(t, func(s *scene) {
		p := s.listen(s.silent("server"))
		mine := &talker{s: s, name: "mine", quiet: true}
		got, err := result(s, endpoint.ConnectProtocol(s.Context(), s.clientTo(p.Addr()), mine))
		if err != nil || got != mine || mine.t == nil {
			s.Errorf("%v, %v", got, err)
		}
		f := endpoint.ConnectProtocol(s.Context(), s.clientTo(s.deadEnd()), mine)
		f.Cancel()
		if _, err := result(s, f); err == nil {
			s.Error("no error")
		}
	})
}
