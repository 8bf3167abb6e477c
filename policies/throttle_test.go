package policies_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"mobius"
	"mobius/fake"
	"mobius/flow"
	"mobius/policies"
	"mobius/sim"
	"mobius/transport"
)

// A writer is a protocol with a consumer for its output.
type writer struct {
	flow.Consumer
	t   mobius.Transport
	got int
	err error
}

func (w *writer) ConnectionMade(t mobius.Transport) { w.Attach(t); w.t = t }
func (w *writer) DataReceived(p []byte)             { w.got += len(p) }
func (w *writer) ConnectionLost(err error)          { w.err = err; w.Consumer.ConnectionLost(err) }

// under starts a writer under a throttle, on a clock that others may share.
func under(t *testing.T, f *policies.Throttle, c *fake.Clock) (*fake.Transport, *writer, *fake.PushProducer) {
	t.Helper()
	w, p := &writer{}, &fake.PushProducer{Fail: func(err error) { t.Error(err) }}
	f.Factory = mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return w })
	tr := fake.NewTransport(c)
	tr.Fail = func(err error) { t.Error(err) }
	tr.Start(f.BuildProtocol(tr.Remote))
	if err := w.RegisterProducer(p); err != nil {
		t.Fatal(err)
	}
	return tr, w, p
}

func advance(t *testing.T, c *fake.Clock, d time.Duration) {
	t.Helper()
	if err := c.Advance(d); err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, w *writer, n int) {
	t.Helper()
	if _, err := w.Write(make([]byte, n)); err != nil {
		t.Error(err)
	}
}

// The pauses of the rates and those of the transport are one alternation: the
// strict producer would say so.
func TestThrottleAndTransportPauseInOne(t *testing.T) {
	tr, w, p := under(t, &policies.Throttle{Each: policies.Rates{Write: 1000}}, nil)
	c := tr.Clock()
	write(t, w, 2000)
	tr.Fill()
	if p.State() != fake.Paused {
		t.Fatalf("it is %v", p.State())
	}
	tr.Drain()
	advance(t, c, 900*time.Millisecond)
	if p.State() != fake.Paused {
		t.Error("resumed by the transport, against the rate")
	}
	tr.Fill()
	advance(t, c, time.Second)
	if p.State() != fake.Paused {
		t.Error("resumed by the rate, against the transport")
	}
	tr.Drain()
	if p.State() != fake.Producing || p.Calls() != 2 {
		t.Errorf("it is %v after %d calls", p.State(), p.Calls())
	}
}

// All connections share the total: what one has used up another waits for.
func TestThrottleTotalIsShared(t *testing.T) {
	f, c := &policies.Throttle{Total: policies.Rates{Read: 1000, Write: 1000}}, fake.NewClock()
	a, first, _ := under(t, f, c)
	_, second, p := under(t, f, c)
	write(t, first, 1500)
	write(t, second, 10)
	if p.State() != fake.Paused {
		t.Error("the second may write, though the first has used up the rate")
	}
	a.Receive(make([]byte, 1500))
	b, _, q := under(t, f, c)
	if b.Reading() != fake.Paused || q.State() != fake.Paused {
		t.Errorf("a newcomer is %v, its producer %v", b.Reading(), q.State())
	}
	advance(t, c, 600*time.Millisecond)
	if a.Reading() != fake.Producing || b.Reading() != fake.Producing || p.State() != fake.Producing || q.State() != fake.Producing {
		t.Errorf("after the pause: %v, %v, %v, %v", a.Reading(), b.Reading(), p.State(), q.State())
	}
}

// What one connection may burst is its own, and small pieces at the limit do
// not make a pause each.
func TestThrottleBurstAndLeastPause(t *testing.T) {
	f := &policies.Throttle{Each: policies.Rates{Read: 100_000}, Burst: 100 * time.Millisecond}
	tr, w, _ := under(t, f, nil)
	tr.Receive(make([]byte, 10_000))
	if tr.Reading() != fake.Producing {
		t.Error("paused within the burst")
	}
	tr.Receive(make([]byte, 1)) // 10 µs too much
	advance(t, tr.Clock(), 9*time.Millisecond)
	if tr.Reading() != fake.Paused {
		t.Error("resumed after less than 10 ms")
	}
	advance(t, tr.Clock(), time.Millisecond)
	if tr.Reading() != fake.Producing || w.got != 10_001 {
		t.Errorf("it is %v; %d bytes came", tr.Reading(), w.got)
	}
}

// Nothing is told, and no timer is left, once a connection is closed or lost.
func TestThrottleAfterTheEnd(t *testing.T) {
	for _, end := range []func(tr *fake.Transport, w *writer){
		func(_ *fake.Transport, w *writer) { w.t.LoseConnection() },
		func(tr *fake.Transport, _ *writer) { tr.Lose(nil) },
	} {
		tr, w, p := under(t, &policies.Throttle{Each: policies.Rates{Write: 1000}}, nil)
		write(t, w, 5000)
		end(tr, w)
		if armed := tr.Clock().Loop().Armed(); tr.Lost() && len(armed) != 0 {
			t.Errorf("%d timers are left by a connection that was lost", len(armed))
		}
		calls := p.Calls()
		advance(t, tr.Clock(), time.Minute)
		if p.Calls() != calls {
			t.Errorf("the producer was told more: %d calls, then %d", calls, p.Calls())
		}
		if tr.Lost() && len(tr.Clock().Loop().Armed()) != 0 {
			t.Error("a timer is left")
		}
	}
}

// A panic of the producer's resume ends its connection, and is told.
func TestThrottleProducerPanics(t *testing.T) {
	tr, w, p := under(t, &policies.Throttle{Each: policies.Rates{Write: 1000}}, nil)
	p.OnResume = func() { panic("a producer's mistake") }
	write(t, w, 2000)
	if err := tr.Clock().Advance(time.Minute); err == nil || !strings.Contains(err.Error(), "a producer's mistake") {
		t.Errorf("told: %v", err)
	}
	if !tr.Aborted() {
		t.Error("the connection lives on")
	}
}

// A protocol that is no Drainer is not held back, one that none builds none.
func TestThrottleOfOthers(t *testing.T) {
	f := &policies.Throttle{Factory: echoes(), Each: policies.Rates{Write: 10}}
	tr := on(f)
	tr.Receive(make([]byte, 1000))
	if len(tr.Written()) != 1000 {
		t.Errorf("%d bytes were written", len(tr.Written()))
	}
	f.Factory = mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return nil })
	if f.BuildProtocol(tr.Remote) != nil {
		t.Error("something was built of nothing")
	}
	if inner, ok := mobius.As[mobius.FactoryFunc](f); !ok || inner == nil {
		t.Error("the factory is not to be found")
	}
}

// The valve hides no ability of the transport, and pausing goes through a layer
// that was put on it.
func TestThrottleHidesNothing(t *testing.T) {
	w := &writer{}
	f := &policies.Throttle{Factory: mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return w })}
	p, err := fake.Connect(nil, &writer{}, f.BuildProtocol(mobius.Address{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := mobius.As[transport.Upgrader](w.t); !ok {
		t.Error("the transport's abilities are hidden")
	}
	p.Client.AbortConnection()
	if err := p.Flush(); err != nil || w.err == nil {
		t.Error(err, w.err)
	}
}

// On networks of any kind what comes is what was sent, and no faster than it
// may.
func TestThrottleSeeds(t *testing.T) {
	sim.Run(t, 200, func(t *sim.T) {
		const total, rate = 300_000, 100_000
		w := &writer{}
		f := &policies.Throttle{
			Factory: mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return w }),
			Each:    policies.Rates{Read: rate},
		}
		sender := &writer{}
		net := t.Net(sim.Options{Harmless: true})
		p, err := fake.Connect(net, sender, f.BuildProtocol(mobius.Address{}), nil)
		if err != nil {
			t.Fatal(err)
		}
		start := net.Now()
		for n := total; n > 0; n -= 10_000 {
			if _, err := sender.t.Write(make([]byte, 10_000)); err != nil {
				t.Fatal(err)
			}
			if err := p.Advance(time.Millisecond); err != nil {
				t.Fatal(err)
			}
			allowed := rate + int(float64(rate)*(net.Now()-start).Seconds()) + 65536 // and one piece
			if w.got > allowed {
				t.Fatalf("after %v %d bytes came, at most %d may", net.Now()-start, w.got, allowed)
			}
		}
		if err := p.Until(time.Hour, func() bool { return w.got == total }); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestBucketFill(t *testing.T) {
	parent := &policies.Bucket{Size: 100, Rate: 10}
	b := &policies.Bucket{Size: 50, Rate: 100, Parent: parent}
	if b.Over(0) != 0 {
		t.Error("an empty bucket is over")
	}
	b.Fill(0, 150)
	if d := b.Over(0); d != 5*time.Second { // the parent's 50 at 10, its own 100 at 100
		t.Errorf("over for %v, want 5s", d)
	}
	if b.Add(0, 10) != 0 || b.Content(0) != 150 || parent.Content(0) != 150 {
		t.Errorf("%d and %d bytes", b.Content(0), parent.Content(0))
	}
	if d := b.Over(4 * time.Second); d != time.Second {
		t.Errorf("over for %v, want 1s", d)
	}
	if b.Over(5*time.Second) != 0 {
		t.Error("it has leaked, and is over")
	}
	never := &policies.Bucket{Size: 10}
	never.Fill(0, 11)
	if never.Over(time.Hour) != math.MaxInt64 {
		t.Errorf("one that does not leak is over for %v", never.Over(time.Hour))
	}
	(&policies.Bucket{}).Fill(0, math.MaxInt32) // bears any number
}

// An empty write is no traffic, and neither is what asks whether one may write.
func TestEmptyWritesAreNotTold(t *testing.T) {
	w, told := &writer{}, 0
	f := &policies.TrafficLog{Record: func(uint64, policies.Direction, []byte) { told++ }}
	f.Factory = &policies.Throttle{
		Factory: mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return w }),
		Each:    policies.Rates{Write: 10},
	}
	tr := on(f)
	if err := w.RegisterProducer(&fake.PushProducer{}); err != nil {
		t.Fatal(err)
	}
	write(t, w, 0)
	if _, err := w.t.Writev([][]byte{nil, {}}); err != nil {
		t.Error(err)
	}
	if err := w.t.WriteOwned(nil, nil); err != nil {
		t.Error(err)
	}
	if told != 0 {
		t.Errorf("told %d times", told)
	}
	write(t, w, 100)
	advance(t, tr.Clock(), time.Minute)
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}
