package twisted

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"

	"mobius/flow"
	"mobius/transport"
	mtls "mobius/transport/tls"
)

// A sealed is an outlet over TLS.
type sealed struct {
	outlet
	shaken bool
}

func (o *sealed) ConnectionLost(err error) {
	defer o.talker.ConnectionLost(err) // also if the producer panics
	o.Consumer.ConnectionLost(err)
}

func (o *sealed) HandshakeCompleted(tls.ConnectionState) { o.shaken = true }

// sealed connects an outlet to a reader over TLS. The handshake has just begun.
func (s *tlsScene) sealed() (o *sealed, reader *talker) {
	s.Helper()
	s.below.HighWater, s.below.LowWater = 64<<10, 16<<10
	reader = &talker{s: s.scene, name: "client", quiet: true}
	o = &sealed{outlet: outlet{talker: &talker{s: s.scene, name: "server", quiet: true}}}
	s.begin(o, reader)
	s.Until("connected", func() bool { return o.talker.t != nil && reader.t != nil })
	s.events = nil
	return o, reader
}

// give writes as a producer does.
func (o *sealed) give(text string) {
	if _, err := o.Write([]byte(text)); err != nil {
		o.s.Error(err)
	}
}

// over ends a connection over TLS from the reader's side.
func (s *tlsScene) over(o *sealed, reader *talker) {
	s.Helper()
	reader.t.AbortConnection()
	s.bothLost(o.talker, reader)
	s.idle()
}

func TestCase209SecondProducerOverTLS(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		o, reader := s.sealed()
		for range 2 { // before the handshake and after it
			if err := o.RegisterProducer(&faucet{s: s.scene}); err != nil {
				s.Fatal(err)
			}
			second := &faucet{s: s.scene}
			if err := o.RegisterProducer(second); !errors.Is(err, flow.ErrRegistered) {
				s.Errorf("a second producer: %v", err)
			}
			if err := o.RegisterPull(pull{second}); !errors.Is(err, flow.ErrRegistered) {
				s.Errorf("a second producer, to be asked: %v", err)
			}
			o.UnregisterProducer()
			o.UnregisterProducer()
			s.expect()
			s.Until("the handshake", func() bool { return o.shaken })
		}
		o.write("and on")
		reader.has(6)
		s.over(o, reader)
	})
}

func TestCase211TransportBelowTLSEnds(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		o, reader := s.sealed()
		if err := o.RegisterProducer(&faucet{s: s.scene}); err != nil {
			s.Fatal(err)
		}
		s.Until("the handshake", func() bool { return o.shaken })
		o.talker.onLost = func(*talker) { s.note("lost") }
		below, _ := o.talker.t.(*mtls.Conn).Unwrap().(transport.Transport)
		below.AbortConnection()
		s.bothLost(o.talker, reader)
		s.events = slices.DeleteFunc(s.events, func(e string) bool { return strings.HasPrefix(e, "factory") })
		s.expect("stop", "lost")
		s.idle()
	})
}

// Before the peer answers the handshake nothing can be sent: a pull producer is
// asked until the output is long, and then no more; it goes on with the
// handshake.
func TestCase212PullProducerOverTLS(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		s.below.HighWater, s.below.LowWater = 64<<10, 16<<10
		const piece, most = 30 << 10, 12
		o := &sealed{outlet: outlet{talker: &talker{s: s.scene, quiet: true}}}
		reader := &talker{s: s.scene, name: "client", quiet: true}
		s.beginClear(mtls.Wrap(o, s.server, mtls.Server, &s.o), reader)
		s.Until("connected", func() bool { return o.talker.t != nil && reader.t != nil })
		asked, first := 0, &asker{}
		first.on = func() {
			if asked == most {
				o.UnregisterProducer()
				return
			}
			asked++
			o.give(strings.Repeat("p", piece))
		}
		if err := o.RegisterPull(first); err != nil {
			s.Fatal(err)
		}
		if asked != 1 {
			s.Errorf("asked %d times when it was registered", asked)
		}
		s.turns(20)
		if asked != 3 { // 90 KiB are more than 64
			s.Errorf("asked %d times before the handshake", asked)
		}
		startTLS(s, reader, s.client, mtls.Client)
		s.Until("the producer is done", func() bool { return !o.Registered() })
		reader.has(most * piece)
		if first.stopped > 0 {
			s.Error("a producer that was unregistered is stopped")
		}
		last := &asker{on: func() { _, _ = o.Write([]byte("x")) }} // until the end
		if err := o.RegisterPull(last); err != nil {
			s.Fatal(err)
		}
		reader.has(most*piece + 1)
		s.over(o, reader)
		if last.stopped != 1 {
			s.Errorf("the producer was stopped %d times", last.stopped)
		}
	})
}

// A panic of a producer ends the one connection that it happened on; the
// producer is gone, also if its stop panics.
func TestCase213PullProducerPanics(t *testing.T) {
	for _, twice := range []bool{false, true} {
		t.Run(map[bool]string{false: "when asked", true: "when asked, and when stopped"}[twice], func(t *testing.T) {
			eachVersion(t, func(s *tlsScene) {
				o, reader := s.sealed()
				asked := 0
				f := &faucet{s: s.scene, onResume: func() {
					if asked++; asked > 1 {
						panic("asked again")
					}
					o.give("one piece")
				}}
				if err := o.RegisterPull(stumbler{pull{f}, twice}); err != nil {
					s.Fatal(err)
				}
				s.bothLost(o.talker, reader)
				n := 1
				if twice {
					n = 2
				}
				s.panics(n)
				if asked != 2 || o.Registered() || o.lost != 1 {
					s.Errorf("asked %d times, registered: %v, lost %d times", asked, o.Registered(), o.lost)
				}
				s.idle()
			})
		})
	}
}

// A stumbler is a producer whose stop may panic.
type stumbler struct {
	pull
	panics bool
}

func (p stumbler) StopProducing() {
	if p.panics {
		panic("stopped")
	}
}

// Whoever stands on TLS, and is full by bytes of its own, is told when the
// output below is short, though that was never long: also if the kernel has to
// take some of it first.
func TestX20ShortOutputOverTLS(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		o, reader := s.sealed()
		s.Until("the handshake", func() bool { return o.shaken })
		if err := o.RegisterProducer(&faucet{s: s.scene}); err != nil {
			s.Fatal(err)
		}
		over := &struct{ transport.Transport }{}
		up, err := o.talker.t.(transport.Upgrader).Upgrade(over, o)
		if err != nil {
			s.Fatal(err)
		}
		over.Transport = up.Below
		below := up.Below.(transport.DrainTeller)
		if below.TellDrained() {
			s.Error("to be told of an output that is short")
		}
		reader.t.PauseReading()
		q, _ := transport.As[transport.Queuer](o.talker.t)
		n := 0
		for still := 0; still < 20; still++ { // the kernel takes no more
			for q.Queued() <= 24<<10 {
				o.write(strings.Repeat("x", 8<<10))
				n += 8 << 10
				still = 0
			}
			s.Turn()
		}
		s.expect()
		if !below.TellDrained() {
			s.Fatalf("not to be told, with %d bytes queued", q.Queued())
		}
		s.expect()
		reader.t.ResumeReading()
		s.await("resume")
		reader.has(n)
		s.expect("resume")
		s.over(o, reader)
	})
}
