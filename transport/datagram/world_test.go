package datagram

import (
	"fmt"
	"slices"
	"testing"

	"mobius/loop"
	"mobius/proactor"
	"mobius/test/backends"
)

// A site is a world with one loop.
type site struct {
	*backends.World
	l *loop.Loop
}

func each(t *testing.T, f func(s *site)) {
	backends.Each(t, func(w *backends.World) { f(&site{w, w.Loop()}) })
}

func address(tb testing.TB, network, text string) proactor.Address {
	tb.Helper()
	a, err := proactor.ParseAddress(network, text)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func (s *site) v4() proactor.Address { return address(s, "udp", "127.0.0.1:0") }

// listen starts p at addr.
func (s *site) listen(addr proactor.Address, p Protocol, o *Options) *Port {
	s.Helper()
	port, err := Listen(s.l, addr, p, o)
	if err != nil {
		s.Fatal(err)
	}
	return port
}

// write sends text.
func (s *site) write(p *Port, text string, to proactor.Address) {
	s.Helper()
	if err := p.WriteTo([]byte(text), to); err != nil {
		s.Fatal(err)
	}
}

// A log records what its port tells it.
type log struct {
	port   *Port
	events []string
	from   proactor.Address
	on     func(data []byte, from proactor.Address)
	start  func(p *Port)
	why    error
	stops  int
}

func (r *log) StartProtocol(p *Port) {
	r.port = p
	r.events = append(r.events, "start")
	if r.start != nil {
		r.start(p)
	}
}

func (r *log) DatagramReceived(data []byte, from proactor.Address) {
	r.events = append(r.events, fmt.Sprintf("%q", data))
	r.from = from
	if r.on != nil {
		r.on(data, from)
	}
}

func (r *log) StopProtocol(err error) {
	r.why = err
	r.stops++
	r.events = append(r.events, "stop")
}

func (r *log) has(event string) func() bool {
	return func() bool { return slices.Contains(r.events, event) }
}

// A witness is a log that also hears of what became of its datagrams.
type witness struct {
	log
	refused int
	failed  []error
	resumed int
}

func (w *witness) ConnectionRefused()                        { w.refused++ }
func (w *witness) SendFailed(to proactor.Address, err error) { w.failed = append(w.failed, err) }
func (w *witness) PauseWriting()                             {}
func (w *witness) ResumeWriting()                            { w.resumed++ }
