package twisted

import (
	"testing"
	"time"

	"mobius/connector"
	"mobius/loop"
)

// StopTrying while a retry is due, or while there is a connection: there is
// no further attempt.
func TestCase415StopTrying(t *testing.T) {
	for name, when := range map[string]connector.State{
		"waiting": connector.Waiting, "connected": connector.Connected,
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *scene) {
				client := s.plant("client")
				r := &connector.Reconnecting{Factory: client, Initial: 50 * time.Millisecond, Jitter: -1}
				to := s.deadEnd()
				var server *plant
				if when == connector.Connected {
					server = s.silent("server")
					to = s.listen(server).Addr()
				}
				var c *connector.Connector
				stopped := false
				var stop loop.Timer
				stop.Func = func() { // once the connector is where it is to be
					if c.State() != when {
						s.l.Start(&stop, time.Millisecond)
						return
					}
					r.StopTrying()
					stopped = true
				}
				s.l.Start(&stop, 0)
				c = s.connect(to, r)
				s.Until("stopped while "+when.String(), func() bool { return stopped })
				if server != nil {
					s.Until("the server has it", func() bool { return len(server.made) == 1 && server.made[0].t != nil })
					server.made[0].t.LoseConnection()
				}
				s.await("client stop")
				s.Pass(s.l, 300*time.Millisecond)
				began := 0
				for _, e := range s.events {
					if e == "client connecting" {
						began++
					}
				}
				if began != 1 || c.State() != connector.Idle || client.Users() != 0 {
					s.Errorf("%d attempts, want one; the connector is %v; events %q", began, c.State(), s.events)
				}
			})
		})
	}
}

// The same for the attempt under way, which fails because the user stopped it.
func TestCase415StopTryingWhileConnecting(t *testing.T) {
	each(t, func(s *scene) {
		client := s.plant("client")
		r := &connector.Reconnecting{Factory: client, Initial: time.Millisecond, Jitter: -1}
		c := s.connect(s.deadEnd(), r)
		r.StopTrying()
		s.await("client stop")
		s.pass()
		s.expect("client start", "client connecting", "client failed: aborted", "client stop")
		if c.State() != connector.Idle {
			s.Errorf("the connector is %v", c.State())
		}
	})
}

// Retries are timed by the loop's clock, whatever that is: an hour of waiting
// takes no time on a virtual one.
func TestCase416InjectedClock(t *testing.T) {
	each(t, func(s *scene) {
		wait := time.Millisecond
		if s.Net != nil {
			wait = time.Hour
		}
		client := s.silent("client")
		r := &connector.Reconnecting{Factory: client, Initial: wait, Max: wait, Jitter: -1}
		var began, failed []time.Duration
		client.onStarted = func(*connector.Connector) { began = append(began, s.l.Now()) }
		client.onFailed = func(*connector.Connector) { failed = append(failed, s.l.Now()) }
		s.connect(s.deadEnd(), r)
		s.Until("three retries", func() bool { return len(began) == 4 })
		r.StopTrying()
		for i := range 3 {
			if took := began[i+1] - failed[i]; took < wait || s.Net != nil && took > wait+time.Second {
				s.Errorf("wait %d lasted %v of the loop's time, want %v", i+1, took, wait)
			}
		}
	})
}
