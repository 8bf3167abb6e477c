package proxy

import (
	"errors"
	"syscall"
	"testing"
	"time"
)

// A side that is reset while the other one is idle is noticed at once, whether
// anything was ever said or not: the relay that waits for the idle side does
// not see that it has nobody to send to, the one from the dead side does.
func TestResetBesideAnIdleSide(t *testing.T) {
	for _, talk := range []bool{false, true} {
		for _, dead := range []Side{Server, Client} {
			w := quietWorld(t, 1, 1, Options{IdleTimeout: -1, HalfClosedTimeout: -1})
			client, server := w.pair()
			if talk {
				client.say("ping")
				server.hears("ping")
				server.say("pong")
				client.hears("pong")
			}
			w.pass(time.Hour)
			idle, gone, began := client, server, w.net.Now()
			if dead == Client {
				idle, gone = server, client
			}
			gone.drop(true)
			idle.hearsReset()
			if r := w.report(1, Broken, dead); !errors.Is(r.Err, syscall.ECONNRESET) {
				t.Errorf("the report's error is %v", r.Err)
			}
			if d := w.net.Now() - began; d > time.Second {
				t.Errorf("the session ended %v after the reset", d)
			}
			idle.drop(false)
			w.close()
		}
	}
}

// A side that ended its stream is not read from any more, so that its death
// after that shows to nobody while the other side is idle. HalfClosedTimeout
// is what ends the session.
func TestDeathAfterAHalfClose(t *testing.T) {
	w := quietWorld(t, 1, 1, Options{IdleTimeout: -1})
	client, server := w.pair()
	server.finish()
	client.hearsEnd()
	began := w.net.Now()
	w.pass(time.Second)
	server.drop(true)
	w.report(1, HalfClosed, Client)
	if d := w.net.Now() - began; d > DefaultHalfClosedTimeout+5*time.Second {
		t.Errorf("the session ended %v after the half close", d)
	}
	client.drop(false)
	w.close()
}
