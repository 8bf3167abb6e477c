package fake_test

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius"
	"mobius/fake"
	"mobius/flow"
	"mobius/sim"
	"mobius/transport"
)

// A player is a protocol that has all abilities, and notes what it is told.
type player struct {
	t   mobius.Transport
	log []string
	on  func(p *player, what string)
}

func (p *player) note(what string) {
	p.log = append(p.log, what)
	if p.on != nil {
		p.on(p, what)
	}
}

func (p *player) ConnectionMade(t mobius.Transport) { p.t = t; p.note("made") }
func (p *player) DataReceived(b []byte)             { p.note("data " + string(b)) }
func (p *player) ReadConnectionLost()               { p.note("read lost") }
func (p *player) WriteConnectionLost()              { p.note("write lost") }
func (p *player) PauseWriting()                     { p.note("pause") }
func (p *player) ResumeWriting()                    { p.note("resume") }

func (p *player) ConnectionLost(err error) {
	var e *mobius.ConnError
	if errors.As(err, &e) {
		p.note("lost " + e.Kind.String())
		return
	}
	p.note("lost by something else")
}

func (p *player) expect(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(p.log, ", "); got != want {
		t.Errorf("it was told %q, want %q", got, want)
	}
	p.log = nil
}

// playing returns a transport with a protocol on it.
func playing() (*fake.Transport, *player) {
	tr, p := fake.NewTransport(nil), &player{}
	tr.Start(p)
	p.log = nil
	return tr, p
}

func misused(f func()) (is bool) {
	defer func() {
		err, _ := recover().(error)
		is = errors.Is(err, fake.ErrMisuse)
	}()
	f()
	return false
}

func TestTransportReceives(t *testing.T) {
	tr, p := playing()
	p.on = func(_ *player, what string) {
		if what == "data one" {
			tr.PauseReading()
		}
	}
	tr.Receive([]byte("one"))
	tr.Receive([]byte("two"))
	tr.Finish()
	p.expect(t, "data one")
	tr.ResumeReading()
	p.expect(t, "") // not inside the call
	if err := tr.Clock().Advance(0); err != nil {
		t.Error(err)
	}
	p.expect(t, "data two, read lost")
	tr.Receive([]byte("more"))
	tr.LoseConnection()
	tr.Receive([]byte("dropped"))
	p.expect(t, "data more") // the peer goes on after its end: that is the test's affair
}

// What was lent is scribbled over.
func TestTransportLends(t *testing.T) {
	tr, kept := fake.NewTransport(nil), &keeper{}
	tr.Start(kept)
	mine := []byte("lent")
	tr.Receive(mine)
	if string(kept.got) != "!!!!" || string(mine) != "lent" {
		t.Errorf("the protocol still has %q, and the test %q", kept.got, mine)
	}
	tr.Finish() // of a protocol that is no HalfCloser
	if !errors.Is(kept.lost, io.EOF) || !tr.Lost() {
		t.Errorf("it was lost by %v", kept.lost)
	}
}

type keeper struct {
	got  []byte
	lost error
}

func (k *keeper) ConnectionMade(mobius.Transport) {}
func (k *keeper) DataReceived(p []byte)           { k.got = p }
func (k *keeper) ConnectionLost(err error)        { k.lost = err }

func TestTransportWrites(t *testing.T) {
	tr, _ := playing()
	released := 0
	if n, err := tr.Writev([][]byte{[]byte("a"), nil, []byte("bc")}); n != 3 || err != nil {
		t.Error(n, err)
	}
	if err := tr.WriteOwned([]byte("d"), func() { released++ }); err != nil {
		t.Error(err)
	}
	tr.WriteError = transport.ErrFull
	for _, err := range []error{second(tr.Write([]byte("x"))), second(tr.Writev(nil)), tr.WriteOwned(nil, func() { released++ })} {
		if !errors.Is(err, transport.ErrFull) {
			t.Errorf("a write that must fail: %v", err)
		}
	}
	if string(tr.Written()) != "abcd" || released != 2 {
		t.Errorf("%q was written, %d were released", tr.Written(), released)
	}
	tr.WriteError = nil
	tr.Clear()
	tr.LoseWriteConnection()
	if err := second(tr.Write([]byte("x"))); !errors.Is(err, transport.ErrNotWritable) || len(tr.Written()) > 0 {
		t.Errorf("a write after the end: %v", err)
	}
	if err := tr.Detach(nil); !errors.Is(err, fake.ErrDetach) {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestTransportEnds(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		close func(tr *fake.Transport)
		is    error
		told  string
	}{
		{func(tr *fake.Transport) { tr.LoseConnection(); tr.CloseWithError(broken); tr.End() }, syscall.Errno(0), "lost done"},
		{func(tr *fake.Transport) { tr.CloseWithError(broken); tr.End() }, broken, "lost failed"},
		{func(tr *fake.Transport) { tr.LoseConnection(); tr.AbortConnection(); tr.End() }, syscall.Errno(0), "lost aborted"},
		{func(tr *fake.Transport) { tr.LoseConnection(); tr.Lose(nil) }, syscall.ECONNRESET, "lost lost"},
		{func(tr *fake.Transport) { tr.Lose(syscall.ETIMEDOUT) }, syscall.ETIMEDOUT, "lost lost"},
		{func(tr *fake.Transport) { tr.Lose(io.EOF) }, io.EOF, "lost done"},
	} {
		tr, p := playing()
		stopped := &fake.PushProducer{}
		if err := tr.RegisterProducer(stopped); err != nil {
			t.Fatal(err)
		}
		p.on = func(*player, string) {
			if stopped.State() != fake.Stopped {
				t.Error("the protocol was told before the producer")
			}
		}
		c.close(tr)
		p.expect(t, c.told)
		if !tr.Lost() || tr.Closing() || tr.Aborted() || !tr.WriteClosed() || !misused(func() { tr.Lose(nil) }) {
			t.Errorf("%s: lost %v, closing %v, aborted %v", c.told, tr.Lost(), tr.Closing(), tr.Aborted())
		}
		late := &fake.PushProducer{}
		if err := tr.RegisterProducer(late); err != nil || late.State() != fake.Stopped {
			t.Errorf("a late producer: %v, it is %v", err, late.State())
		}
		if err := tr.RegisterPull(puller{}); err != nil {
			t.Error(err)
		}
	}
	tr, _ := playing()
	if tr.Reason() != nil || !misused(tr.End) {
		t.Error("an end that nobody has asked for")
	}
	tr.CloseWithError(broken)
	if !errors.Is(tr.Reason(), broken) || !tr.Closing() {
		t.Errorf("the reason is %v", tr.Reason())
	}
}

type puller struct{ ask func() }

func (p puller) ResumeProducing() { p.ask() }
func (p puller) StopProducing()   {}

func TestTransportPacesItsProducer(t *testing.T) {
	tr, p := playing()
	push := &fake.PushProducer{}
	if err := tr.RegisterProducer(push); err != nil {
		t.Fatal(err)
	}
	tr.Fill()
	if push.State() != fake.Paused || !misused(tr.Fill) {
		t.Errorf("it is %v", push.State())
	}
	tr.Drain()
	if push.State() != fake.Producing || !misused(tr.Drain) {
		t.Errorf("it is %v", push.State())
	}
	p.expect(t, "pause, resume")
	tr.UnregisterProducer()
	asked := 0
	if err := tr.RegisterPull(puller{func() { asked++ }}); err != nil || asked != 1 || !tr.Registered() {
		t.Errorf("asked %d times, %v", asked, err)
	}
	tr.LoseWriteConnection()
	tr.Fill() // nobody is told any more
	if err := tr.Clock().Advance(0); err != nil {
		t.Error(err)
	}
	p.expect(t, "write lost")
}

func TestMisuseMayBeToldToAFunction(t *testing.T) {
	var told []error
	fail := func(err error) { told = append(told, err) }
	tr := fake.NewTransport(nil)
	tr.Fail = fail
	tr.UnregisterProducer()
	(&fake.PushProducer{Fail: fail}).ResumeProducing()
	const want = "ResumeProducing of a producer that is producing"
	if len(told) != 2 || !errors.Is(told[0], fake.ErrMisuse) || !strings.Contains(told[1].Error(), want) {
		t.Errorf("told %v", told)
	}
}

func TestClock(t *testing.T) {
	c := fake.NewClock()
	var called []string
	c.CallLater(2*time.Second, func() { called = append(called, "two at "+c.Now().String()) })
	c.CallLater(time.Second, func() {
		called = append(called, "one at "+c.Now().String())
		c.CallLater(0, func() { called = append(called, "one's own") })
		c.CallLater(time.Second, func() { called = append(called, "after two") })
	})
	c.CallLater(3*time.Second, func() { called = append(called, "late") })
	if err := c.Advance(2 * time.Second); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(called, ", "); got != "one at 1s, one's own, two at 2s, after two" || c.Now() != 2*time.Second {
		t.Errorf("%s; it is %v", got, c.Now())
	}
	if n := len(c.DelayedCalls()); n != 1 {
		t.Errorf("%d calls are to come", n)
	}
	if err := c.Pump(time.Second, time.Hour); err != nil || c.Now() != time.Hour+3*time.Second || len(called) != 5 {
		t.Errorf("it is %v, %v: %v", c.Now(), err, called)
	}
}

// A panic of a callback is an error of the Advance, once, and what comes after
// it comes.
func TestClockTellsPanics(t *testing.T) {
	c := fake.NewClock()
	later := false
	c.CallLater(time.Second, func() { panic("a mistake") })
	c.CallLater(2*time.Second, func() { later = true })
	if err := c.Advance(time.Second); err == nil || !strings.Contains(err.Error(), "a mistake") {
		t.Errorf("the panic is told as %v", err)
	}
	if err := c.Pump(time.Second); err != nil || !later {
		t.Errorf("called: %v, %v", later, err)
	}
	c.CallLater(time.Second, func() { panic("another") })
	if err := c.Pump(time.Second, time.Second); err == nil || c.Now() != 3*time.Second {
		t.Errorf("%v; it is %v", err, c.Now())
	}
}

// A call that asks for another one for now does not hang the test.
func TestClockBearsEndlessCalls(t *testing.T) {
	c, n := fake.NewClock(), 0
	var again func()
	again = func() { n++; c.CallLater(0, again) }
	c.CallLater(0, again)
	if err := c.Advance(0); err != nil || n < 100 || n > 10_000 {
		t.Errorf("called %d times, %v", n, err)
	}
}

var _ flow.PullProducer = puller{}

func TestReactorNotesItsCalls(t *testing.T) {
	r, err := fake.NewReactor(nil, mobius.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := &player{}
	port, err := r.ListenTCP("127.0.0.1:80", mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return server }))
	if err != nil {
		t.Fatal(err)
	}
	client := &player{}
	local := port.Addr().WithPort(1234)
	to := mobius.Client{Factory: mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return client })}
	if _, err := r.Connect(mobius.To(port.Addr()), to, mobius.ConnectOptions{Local: local}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ListenUDP("127.0.0.1:53", deaf{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Until(time.Second, func() bool { return server.t != nil && client.t != nil }); err != nil {
		t.Fatal(err)
	}
	if c := r.Calls(fake.Connected); len(c) != 1 || c[0].Addr != port.Addr() || c[0].Options.Local != local {
		t.Errorf("connected: %v", c)
	}
	var all []string
	for _, c := range r.Calls() {
		all = append(all, c.Kind.String()+" "+c.Addr.String())
	}
	if got := strings.Join(all, ", "); got != "listened 127.0.0.1:80, connected 127.0.0.1:80, bound 127.0.0.1:53" {
		t.Error(got)
	}
	if err := r.Until(time.Second, func() bool { return false }); err == nil || !strings.Contains(err.Error(), "not done after 1s") {
		t.Error(err)
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	if err := r.Advance(time.Second); !errors.Is(err, mobius.ErrStopped) {
		t.Errorf("after a Stop: %v", err)
	}
	client.expect(t, "made, lost stopped")
}

type deaf struct{}

func (deaf) StartProtocol(*mobius.DatagramPort)      {}
func (deaf) DatagramReceived([]byte, mobius.Address) {}
func (deaf) StopProtocol(error)                      {}

func TestReactorThatFails(t *testing.T) {
	r, err := fake.NewReactor(nil, mobius.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.Fail = func(c fake.Call) error {
		if c.Kind == fake.Connected {
			return syscall.ENETUNREACH
		}
		return syscall.EADDRINUSE
	}
	if _, err := r.ListenTCP("127.0.0.1:80", nil); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Listen: %v", err)
	}
	if _, err := r.ListenUDP("127.0.0.1:53", deaf{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("ListenUDP: %v", err)
	}
	f := &failed{}
	if _, err := r.ConnectTCP("127.0.0.1:80", f); err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(); err != nil || !errors.Is(f.err, syscall.ENETUNREACH) {
		t.Errorf("%v; the factory was told %v", err, f.err)
	}
}

type failed struct {
	mobius.ClientBase
	err error
}

func (f *failed) BuildProtocol(mobius.Address) mobius.Protocol    { return nil }
func (f *failed) ConnectionFailed(_ *mobius.Connector, err error) { f.err = err }

func TestReactorRefusesOptions(t *testing.T) {
	for _, o := range []mobius.Options{{Loops: 2}, {Backend: "epoll"}, {Threads: -1}} {
		if r, err := fake.NewReactor(nil, o); err == nil {
			t.Errorf("%+v made %v", o, r)
		}
	}
}

// On a network where nobody gets through a Pump is an error; on one that cuts
// everything it is none.
func TestPumpOnBadNetworks(t *testing.T) {
	refuses := sim.New(sim.Options{Seed: 1, Faults: sim.NoFaults.Set(1, sim.Refuse)})
	if _, err := fake.Connect(refuses, &player{}, &player{}, nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connected: %v", err)
	}
	cuts := sim.New(sim.Options{Seed: 1, Faults: sim.NoFaults.Set(0.7, sim.Cut, sim.ShortSend, sim.Jitter)})
	server, client := &player{}, &keepsAll{}
	p, err := fake.Connect(cuts, client, server, &mobius.TransportOptions{HighWater: 100, LowWater: 10})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789", 1000)
	if _, err := p.Server.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := p.Until(time.Minute, func() bool { return len(client.got) == len(text) }); err != nil || string(client.got) != text {
		t.Errorf("%v; %d bytes came", err, len(client.got))
	}
	server.expect(t, "made, pause, resume")
	cuts.Heal()
	p.Client.AbortConnection()
	if err := p.Flush(); err != nil {
		t.Error(err)
	}
	server.expect(t, "lost lost")
}

// Two that never stop talking do not hang the test.
func TestFlushOfEndlessTalk(t *testing.T) {
	p, err := fake.Connect(nil, &parrot{}, &parrot{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(); err == nil || !strings.Contains(err.Error(), "still moves after 2s") {
		t.Errorf("Flush: %v", err)
	}
}

type parrot struct{ t mobius.Transport }

func (p *parrot) ConnectionMade(t mobius.Transport) { p.t = t; t.Write([]byte("x")) }
func (p *parrot) DataReceived(b []byte)             { p.t.Write(b) }
func (p *parrot) ConnectionLost(error)              {}

type keepsAll struct{ got []byte }

func (k *keepsAll) ConnectionMade(mobius.Transport) {}
func (k *keepsAll) DataReceived(p []byte)           { k.got = append(k.got, p...) }
func (k *keepsAll) ConnectionLost(error)            {}
