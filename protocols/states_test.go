package protocols

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"mobius"
)

// A machine reads a two-byte length, then a body, until a length of 0.
type machine struct {
	t      mobius.Transport
	bodies []string
	lost   error
}

func (m *machine) ConnectionMade(t mobius.Transport) (State, int) {
	m.t = t
	return m.header, 2
}

func (m *machine) header(p []byte) (State, int) {
	n := int(binary.BigEndian.Uint16(p))
	if n == 0 {
		_, _ = m.t.Write([]byte("bye"))
		return nil, 0
	}
	return m.body, n
}

func (m *machine) body(p []byte) (State, int) {
	m.bodies = append(m.bodies, string(p))
	return m.header, 2
}

func (m *machine) ConnectionLost(err error) { m.lost = err }

func TestStates(t *testing.T) {
	var m *machine
	each(t, func() mobius.Protocol {
		m = &machine{}
		return States(m, 100)
	}, func(k *link) {
		k.send("\x00\x03abc\x00\x01")
		k.Until("the first body", func() bool { return len(m.bodies) == 1 })
		k.send("d\x00\x00\x00\x05")
		k.Until("the end", func() bool { return m.lost != nil && k.peer.lost != nil })
		if len(m.bodies) != 2 || m.bodies[1] != "d" || string(k.peer.got) != "bye" {
			k.Errorf("bodies %q, reply %q", m.bodies, k.peer.got)
		}
	})
}

func TestStateThatAsksForTooMuch(t *testing.T) {
	var m *machine
	each(t, func() mobius.Protocol {
		m = &machine{}
		return States(m, 100)
	}, func(k *link) {
		k.send("\x00\x65a")
		k.Until("the end", func() bool { return m.lost != nil })
		if !errors.Is(m.lost, ErrTooLong) {
			k.Errorf("lost with %v", m.lost)
		}
	})
}

// waits is a protocol with a Timeout that each byte restarts.
type waits struct {
	Timeout
	d    time.Duration
	lost error
}

func (w *waits) ConnectionMade(t mobius.Transport) { w.Watch(t, w.d) }
func (w *waits) DataReceived([]byte)               { w.Reset() }
func (w *waits) ConnectionLost(err error)          { w.lost = err; w.SetTimeout(0) }

func TestTimeout(t *testing.T) {
	const d = 60 * time.Millisecond
	var p *waits
	each(t, func() mobius.Protocol {
		p = &waits{d: d}
		return p
	}, func(k *link) {
		start := k.l.Now()
		k.send("x")
		k.Until("the end", func() bool { return p.lost != nil })
		if passed := k.l.Now() - start; passed < d {
			k.Errorf("ended after %v, want %v or more", passed, d)
		}
		if p.SetTimeout(d) != 0 {
			k.Error("a timeout that has fired is still set")
		}
		p.SetTimeout(0)
	})
}

func TestTimeoutBeforeWatch(t *testing.T) {
	var w Timeout
	w.Reset()
	if w.SetTimeout(time.Second) != 0 || w.SetTimeout(0) != 0 {
		t.Error("a timeout without a connection")
	}
}

func TestTimeoutIsChanged(t *testing.T) {
	var p *waits
	each(t, func() mobius.Protocol {
		p = &waits{d: time.Hour}
		return p
	}, func(k *link) {
		k.send("x")
		fired := false
		p.TimedOut = func() { fired = true }
		if before := p.SetTimeout(10 * time.Millisecond); before != time.Hour {
			k.Errorf("SetTimeout returned %v", before)
		}
		k.Until("TimedOut", func() bool { return fired })
		if p.lost != nil {
			k.Error("the connection was closed although TimedOut is set")
		}
	})
}
