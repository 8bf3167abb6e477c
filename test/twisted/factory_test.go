package twisted

import (
	"testing"

	"mobius/connector"
)

// One factory on three ports: started with the first, stopped with the last.
func TestCase129FactoryOfThreePorts(t *testing.T) {
	eachStream(t, func(s *scene) {
		f := s.plant("factory")
		var ports []*connector.Port
		for range 3 {
			ports = append(ports, s.listen(f))
		}
		s.expect("factory start")
		s.stop(ports[0])
		s.stop(ports[1])
		s.turns(3)
		s.expect()
		s.stop(ports[2])
		s.expect("factory stop")
	})
}

// A protocol gets its transport before anything else happens to it, and may
// use it at once.
func TestCase132TransportThenConnectionMade(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server, client := s.silent("server"), s.silent("client")
		for _, f := range []*plant{server, client} {
			f.talker.onMade = func(p *talker) {
				if len(p.got) > 0 || !p.t.LocalAddr().IsValid() || p.t.Loop() != s.l {
					s.Errorf("%s: made after %q, at %v", p.name, p.got, p.t.LocalAddr())
				}
				p.write("from " + p.name)
			}
		}
		a, b := s.pair(server, client)
		a.has(len("from client"))
		b.has(len("from server"))
		if c := client.c.Transport(); c != b.t {
			s.Errorf("the connector's transport is %v, the protocol's %v", c, b.t)
		}
	})
}

// A client pauses reading in ConnectionMade: nothing comes before it resumes.
func TestCase135PauseInConnectionMade(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server, client := s.silent("server"), s.silent("client")
		server.talker.onMade = func(p *talker) { p.write("greeting") }
		client.talker.onMade = func(p *talker) { p.t.PauseReading() }
		_, b := s.pair(server, client)
		s.pass()
		if len(b.got) > 0 {
			s.Fatalf("%q came during the pause", b.got)
		}
		b.t.ResumeReading()
		b.has(len("greeting"))
	})
}

// Only four decimal octets are an IPv4 address, and only IPv6 addresses, with
// zone or without, are IPv6 ones: everything else is a name to look up, or
// nothing.
func TestCase140Literals(t *testing.T) {
	for text, want := range map[string]string{
		"1.2.3.4:80":       "1.2.3.4",
		"255.255.255.0:80": "255.255.255.0",
		"[::1]:80":         "::1",
		"[fe80::1%eth0]:8": "fe80::1%eth0",
		"1.2.3:80":         "",
		"1.2.3.4.5:80":     "",
		"1.2.3.256:80":     "",
		"1.2.3.-4:80":      "",
		"a.b.c.d:80":       "",
		"1.2.3.04:80":      "",
		"[:]:80":           "",
		"[x%eth0]:80":      "",
		"foo%eth0:80":      "",
	} {
		d, err := connector.ParseDestination("tcp", text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		host, _ := d.Host()
		if got := d.Address(); want == "" && (got.IsValid() || host == "") || want != "" && got.IP().String() != want {
			t.Errorf("%q is the address %v and the name %q, want the address %q", text, got, host, want)
		}
	}
	for _, text := range []string{"", ":", ":80", "::1:80"} {
		if d, err := connector.ParseDestination("tcp", text); err == nil {
			t.Errorf("%q is the destination %v, want an error", text, d)
		}
	}
}
