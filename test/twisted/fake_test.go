package twisted

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"mobius"
	"mobius/fake"
	"mobius/flow"
	"mobius/transport"
)

// misused runs f and reports whether it was misuse.
func misused(f func()) (is bool) {
	defer func() {
		err, _ := recover().(error)
		is = errors.Is(err, fake.ErrMisuse)
	}()
	f()
	return false
}

func TestCase183StrictPushProducer(t *testing.T) {
	p := &fake.PushProducer{}
	for range 3 {
		if misused(p.PauseProducing) || p.State() != fake.Paused {
			t.Fatalf("a pause was refused, and it is %v", p.State())
		}
		if !misused(p.PauseProducing) {
			t.Error("a second pause was taken")
		}
		if misused(p.ResumeProducing) || p.State() != fake.Producing {
			t.Fatalf("a resume was refused, and it is %v", p.State())
		}
		if !misused(p.ResumeProducing) {
			t.Error("a second resume was taken")
		}
	}
	if misused(p.StopProducing) || p.State() != fake.Stopped {
		t.Errorf("a stop was refused, and it is %v", p.State())
	}
	for name, f := range map[string]func(){"pause": p.PauseProducing, "resume": p.ResumeProducing, "stop": p.StopProducing} {
		if !misused(f) || p.State() != fake.Stopped {
			t.Errorf("a %s of a stopped producer was taken", name)
		}
	}
}

// pumped connects an outlet to a talker in memory.
func pumped(t *testing.T, o *mobius.TransportOptions) (*fake.Pump, *outlet, *talker) {
	t.Helper()
	server, client := &outlet{talker: &talker{quiet: true}}, &talker{quiet: true}
	p, err := fake.Connect(nil, client, server, o)
	if err != nil {
		t.Fatal(err)
	}
	return p, server, client
}

func TestCase184PumpCallsNoProducerByItself(t *testing.T) {
	p, o, reader := pumped(t, nil)
	f := &fake.PushProducer{}
	if err := o.RegisterProducer(f); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := o.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Pump(time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if f.Calls() != 0 || len(reader.got) != 10 {
		t.Errorf("the producer was called %d times, %d bytes came", f.Calls(), len(reader.got))
	}
}

// Producers of a connection in memory fare as those of one of sockets.
func TestCase185ProducersInMemory(t *testing.T) {
	marks := &transport.Options{HighWater: 64 << 10, LowWater: 16 << 10}
	t.Run("in memory", func(t *testing.T) {
		p, o, reader := pumped(t, marks)
		inMemory := func(what string, done func() bool) {
			if err := p.Until(time.Hour, done); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		behave(t, o, reader, inMemory)
	})
	each(t, func(s *scene) {
		o, reader := s.consuming()
		reader.t.ResumeReading()
		behave(s, o, reader, s.Until)
		s.idle()
	})
}

// An asker is a pull producer.
type asker struct {
	on      func()
	stopped int
}

func (a *asker) ResumeProducing() { a.on() }
func (a *asker) StopProducing()   { a.stopped++ }

func behave(tb testing.TB, o *outlet, reader *talker, until func(what string, done func() bool)) {
	tb.Helper()
	push := &fake.PushProducer{Fail: func(err error) { tb.Error(err) }}
	big := []byte(strings.Repeat("x", 100<<10))
	write := func() {
		if _, err := o.Write(big); err != nil {
			tb.Error(err)
		}
	}
	if err := o.RegisterProducer(push); err != nil {
		tb.Fatal(err)
	}
	write()
	if push.State() != fake.Paused {
		tb.Error("a push producer is not paused by a long output")
	}
	until("the push producer is resumed", func() bool { return push.State() == fake.Producing })
	o.UnregisterProducer()
	left := 10
	pull := &asker{}
	pull.on = func() {
		if left--; left < 0 {
			o.UnregisterProducer()
			return
		}
		write()
	}
	if err := o.RegisterPull(pull); err != nil {
		tb.Fatal(err)
	}
	until("the pull producer is done", func() bool { return !o.Registered() })
	until("all has come", func() bool { return len(reader.got) == 11*len(big) })
	if err := o.RegisterProducer(push); err != nil {
		tb.Fatal(err)
	}
	reader.t.AbortConnection()
	until("both are lost", func() bool { return o.err != nil && reader.err != nil })
	if push.State() != fake.Stopped || pull.stopped != 0 {
		tb.Errorf("the push producer is %v, the pull producer was stopped %d times", push.State(), pull.stopped)
	}
}

func TestCase427AddressesOfATransport(t *testing.T) {
	tr := fake.NewTransport(nil)
	if a, b := tr.LocalAddr().String(), tr.RemoteAddr().String(); a != "192.0.2.1:12345" || b != "198.51.100.1:54321" {
		t.Errorf("by default it is at %s, its peer at %s", a, b)
	}
	var err error
	if tr.Local, err = mobius.ParseAddress("unix", "/run/here"); err != nil {
		t.Fatal(err)
	}
	if tr.Remote, err = mobius.ParseAddress("tcp", "[2001:db8::1]:80"); err != nil {
		t.Fatal(err)
	}
	if tr.LocalAddr() != tr.Local || tr.RemoteAddr() != tr.Remote {
		t.Errorf("it is at %v, its peer at %v", tr.LocalAddr(), tr.RemoteAddr())
	}
}

func TestCase428ProducerSideOfATransport(t *testing.T) {
	for name, stop := range map[string]func(*fake.Transport){
		"stopped":   func(t *fake.Transport) { flow.Source{Transport: t}.StopProducing() },
		"closed":    func(t *fake.Transport) { t.LoseConnection() },
		"failed":    func(t *fake.Transport) { t.CloseWithError(io.ErrNoProgress) },
		"aborted":   func(t *fake.Transport) { t.AbortConnection() },
		"lost":      func(t *fake.Transport) { t.Lose(nil) },
		"lost, too": func(t *fake.Transport) { t.LoseConnection(); t.End() },
	} {
		tr := fake.NewTransport(nil)
		tr.Start(&talker{quiet: true})
		p := flow.Source{Transport: tr}
		states := []fake.State{tr.Reading()}
		for _, f := range []func(){p.PauseProducing, p.ResumeProducing, p.PauseProducing, func() { stop(tr) }} {
			f()
			states = append(states, tr.Reading())
		}
		want := []fake.State{fake.Producing, fake.Paused, fake.Producing, fake.Paused, fake.Stopped}
		if !slices.Equal(states, want) {
			t.Errorf("%s: it was %v", name, states)
		}
		if !misused(p.PauseProducing) || !misused(p.ResumeProducing) {
			t.Errorf("%s: a pause or a resume was taken", name)
		}
	}
}

func TestCase429ConsumerSideOfATransport(t *testing.T) {
	tr := fake.NewTransport(nil)
	if !misused(tr.UnregisterProducer) {
		t.Error("what is not registered was unregistered")
	}
	if err := tr.RegisterProducer(&fake.PushProducer{}); err != nil {
		t.Fatal(err)
	}
	if err := tr.RegisterProducer(&fake.PushProducer{}); !errors.Is(err, flow.ErrRegistered) {
		t.Errorf("a second producer: %v", err)
	}
	if err := tr.RegisterPull(&asker{}); !errors.Is(err, flow.ErrRegistered) {
		t.Errorf("a second producer: %v", err)
	}
	if misused(tr.UnregisterProducer) || !misused(tr.UnregisterProducer) {
		t.Error("want one to unregister, and not two")
	}
}

// The writes are discarded, as they are everywhere after a close; the writer is
// told.
func TestCase431WritesAfterTheClose(t *testing.T) {
	p, o, reader := pumped(t, nil)
	if _, err := p.Server.Write([]byte("before")); err != nil {
		t.Fatal(err)
	}
	p.Server.LoseConnection()
	if n, err := p.Server.Write([]byte(", after")); n != 0 || !errors.Is(err, transport.ErrNotWritable) {
		t.Errorf("a write after the close: %d, %v", n, err)
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	if string(reader.got) != "before" || o.lost != 1 || reader.lost != 1 {
		t.Errorf("%q has come; lost %d and %d times", reader.got, o.lost, reader.lost)
	}
	if _, err := p.Server.Write([]byte("much later")); !errors.Is(err, transport.ErrNotWritable) {
		t.Errorf("a write after the loss: %v", err)
	}
}

func TestCase432EachPumpMovesTime(t *testing.T) {
	p, _, reader := pumped(t, nil)
	start, called := p.Net.Now(), 0
	p.CallLater(3*time.Second, func() { called++ })
	if _, err := p.Server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false, false} {
		moved, err := p.Pump(time.Second)
		if err != nil || moved != want {
			t.Errorf("pump %d: moved: %v, %v", i, moved, err)
		}
		if now := p.Net.Now() - start; now != time.Duration(i+1)*time.Second {
			t.Errorf("after pump %d it is %v", i, now)
		}
	}
	if called != 1 || len(reader.got) != 1 {
		t.Errorf("called %d times, %d bytes have come", called, len(reader.got))
	}
}

func TestCase433BackendThatCannotBeBuilt(t *testing.T) {
	var ran []string
	t.Run("each", func(t *testing.T) {
		fake.Each(t, func(_ *testing.T, r *mobius.Reactor) { ran = append(ran, r.Backend().Name) }, "sim", "no such backend")
	})
	if t.Failed() || !slices.Equal(ran, []string{"sim"}) {
		t.Errorf("it ran on %q", ran)
	}
}
