package twisted

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"mobius/flow"
	"mobius/transport"
)

// An outlet is a talker that is a consumer, too.
type outlet struct {
	flow.Consumer
	*talker
}

func (o *outlet) ConnectionMade(t transport.Transport) {
	o.Attach(t)
	o.talker.ConnectionMade(t)
}

func (o *outlet) ConnectionLost(err error) {
	o.Consumer.ConnectionLost(err)
	o.talker.ConnectionLost(err)
}

// A faucet is a producer that notes what it is told.
type faucet struct {
	s        *scene
	onPause  func()
	onResume func()
}

func (f *faucet) PauseProducing() {
	f.s.note("pause")
	if f.onPause != nil {
		f.onPause()
	}
}

func (f *faucet) ResumeProducing() {
	f.s.note("resume")
	if f.onResume != nil {
		f.onResume()
	}
}

func (f *faucet) StopProducing() { f.s.note("stop") }

// consuming connects an outlet to a talker that reads nothing yet.
func (s *scene) consuming() (o *outlet, reader *talker) {
	s.Helper()
	server := s.silent("server")
	server.wrap = func(p *talker) transport.Protocol {
		o = &outlet{talker: p}
		return o
	}
	_, reader = s.pairWith(server, s.silent("client"), &transport.Options{HighWater: 64 << 10, LowWater: 16 << 10})
	reader.t.PauseReading()
	return o, reader
}

// fill writes until the output is long and stays so: the kernel takes no more.
func (o *outlet) fill() (n int) {
	o.s.Helper()
	piece := strings.Repeat("x", 32<<10)
	q, _ := transport.As[transport.Queuer](o.talker.t)
	for still := 0; still < 20; still++ {
		for q.Queued() <= 128<<10 {
			o.write(piece)
			n += len(piece)
			still = 0
		}
		o.s.Turn()
	}
	return n
}

func TestCase175X20PushProducer(t *testing.T) {
	eachHostile(t, func(s *scene) {
		o, reader := s.consuming()
		if err := o.RegisterProducer(&faucet{s: s}); err != nil {
			s.Fatal(err)
		}
		o.write(strings.Repeat("x", 64<<10))
		s.expect() // exactly HighWater is not more than it
		o.write("y")
		s.expect("pause")
		o.write("z")
		s.expect()
		reader.t.ResumeReading()
		s.await("resume")
		s.expect("resume")
		reader.t.AbortConnection()
		s.await("stop")
		s.expect("stop")
		s.bothLost(o.talker, reader)
	})
}

// Whatever is written to a full transport, the pause comes once.
func TestX20PauseComesOnce(t *testing.T) {
	eachHostile(t, func(s *scene) {
		o, reader := s.consuming()
		if err := o.RegisterProducer(&faucet{s: s}); err != nil {
			s.Fatal(err)
		}
		n := o.fill()
		reader.t.ResumeReading()
		reader.has(n)
		s.Until("the last pause is over", func() bool { return len(s.events)%2 == 0 }) // the reader may know before the writer
		s.turns(3)
		pauses := 0
		for i, e := range s.events {
			if want := [2]string{"pause", "resume"}[i%2]; e != want {
				s.Fatalf("event %d is %s, want %s: %v", i, e, want, s.events)
			}
			pauses++
		}
		if pauses == 0 || pauses%2 != 0 {
			s.Errorf("%d events, want pairs of pause and resume", pauses)
		}
		o.t().AbortConnection()
		s.bothLost(o.talker, reader)
	})
}

func (o *outlet) t() transport.Transport { return o.talker.t }

func TestCase176PullProducerIsNeverPaused(t *testing.T) {
	eachHostile(t, func(s *scene) {
		o, reader := s.consuming()
		reader.t.ResumeReading()
		left := 40
		f := &faucet{s: s, onPause: func() { s.Error("a pull producer was paused") }}
		f.onResume = func() {
			if left == 0 {
				o.UnregisterProducer()
				return
			}
			left--
			if _, err := o.Write([]byte(strings.Repeat("p", 80<<10))); err != nil {
				s.Error(err)
			}
		}
		if err := o.RegisterPull(pull{f}); err != nil {
			s.Fatal(err)
		}
		reader.has(40 * 80 << 10)
		s.Until("unregistered", func() bool { return !o.Registered() })
		if got := strings.Join(s.events, " "); strings.Contains(got, "stop") {
			s.Errorf("an unregistered producer was stopped: %s", got)
		}
		o.LoseConnection()
		s.bothLost(o.talker, reader)
	})
}

// A pull is a faucet that is asked.
type pull struct{ f *faucet }

func (p pull) ResumeProducing() { p.f.ResumeProducing() }
func (p pull) StopProducing()   { p.f.StopProducing() }

func TestCase177RegisterPullAsksAtOnce(t *testing.T) {
	eachStream(t, func(s *scene) {
		o, reader := s.consuming()
		if err := o.RegisterPull(pull{&faucet{s: s}}); err != nil {
			s.Fatal(err)
		}
		s.expect("resume")
		second := &faucet{s: s}
		if err := o.RegisterProducer(second); !errors.Is(err, flow.ErrRegistered) {
			s.Errorf("a second producer: %v", err)
		}
		if err := o.RegisterPull(pull{second}); !errors.Is(err, flow.ErrRegistered) {
			s.Errorf("a second pull producer: %v", err)
		}
		s.turns(3)
		s.expect() // nothing was written, so nothing more is asked
		o.StopConsuming()
		reader.t.ResumeReading()
		s.bothLost(o.talker, reader)
		s.expect()
	})
}

func TestCase179ResumeThatIsPausedInside(t *testing.T) {
	eachHostile(t, func(s *scene) {
		o, reader := s.consuming()
		reader.t.ResumeReading()
		f, rounds := &faucet{s: s}, 5
		f.onResume = func() {
			if rounds--; rounds >= 0 {
				o.write(strings.Repeat("r", 200<<10))
			}
			s.note("resumed")
		}
		if err := o.RegisterProducer(f); err != nil {
			s.Fatal(err)
		}
		o.write(strings.Repeat("r", 200<<10))
		reader.has(6 * 200 << 10)
		s.Until("resumed for the last time", func() bool { return rounds < 0 })
		want := []string{"pause"}
		for range 5 {
			want = append(want, "resume", "pause", "resumed")
		}
		s.expect(append(want, "resume", "resumed")...)
		o.StopConsuming()
		s.bothLost(o.talker, reader)
	})
}

func TestCase180X30CloseWaitsForTheProducer(t *testing.T) {
	eachHostile(t, func(s *scene) {
		o, reader := s.consuming()
		reader.t.ResumeReading()
		if err := o.RegisterPull(pull{&faucet{s: s}}); err != nil {
			s.Fatal(err)
		}
		o.LoseConnection()
		o.LoseConnection()
		s.turns(5)
		if reader.err != nil {
			s.Fatal("closed under its producer")
		}
		o.write("the last bytes")
		o.UnregisterProducer()
		s.bothLost(o.talker, reader)
		if string(reader.got) != "the last bytes" || kindOf(o.err) != "done" {
			s.Errorf("the peer has %q, the end is %v", reader.got, o.err)
		}
		s.expect("resume")
		s.idle()
	})
}

func TestCase181UnregisterAfterTheLoss(t *testing.T) {
	eachHostile(t, func(s *scene) {
		o, reader := s.consuming()
		if err := o.RegisterProducer(&faucet{s: s}); err != nil {
			s.Fatal(err)
		}
		o.LoseConnection()
		reader.t.AbortConnection()
		s.bothLost(o.talker, reader)
		s.expect("stop")
		o.UnregisterProducer()
		o.UnregisterProducer()
		if err := o.RegisterProducer(&faucet{s: s}); err != nil {
			s.Error(err)
		}
		s.expect("stop") // of the late one, at once
		s.turns(3)
		s.expect()
		s.idle()
	})
}

func TestX11CloseUnderAPushProducer(t *testing.T) {
	eachStream(t, func(s *scene) {
		if s.Net == nil {
			return // it takes virtual time
		}
		o, reader := s.consuming()
		reader.t.ResumeReading()
		if err := o.RegisterProducer(&faucet{s: s}); err != nil {
			s.Fatal(err)
		}
		o.LoseConnection()
		s.Pass(s.l, flow.DefaultCloseTimeout-time.Second)
		if _, err := o.Write([]byte("a sign of life")); err != nil {
			s.Fatal(err)
		}
		s.Pass(s.l, flow.DefaultCloseTimeout-time.Second)
		if s.has("stop") {
			s.Fatal("the sign of life did not count")
		}
		s.bothLost(o.talker, reader)
		s.expect("stop")
		if !errors.Is(o.err, os.ErrDeadlineExceeded) || kindOf(o.err) != "failed" || string(reader.got) != "a sign of life" {
			s.Errorf("the peer has %q, the end is %v", reader.got, o.err)
		}
		s.idle()
	})
}
