package flow

import (
	"testing"
	"time"

	"mobius/connector"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

// Ended is told how long a client was served.
func TestForwarderTellsHowLongItServed(t *testing.T) {
	w := backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults})
	l := w.Loop()
	listen := func(f connector.Factory) *connector.Port {
		port, err := connector.Listen([]*loop.Loop{l}, w.Address(), f, connector.ListenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	back, client := &peer{}, &peer{}
	behind := listen(connector.FactoryFunc(func(proactor.Address) transport.Protocol { return back }))
	var served time.Duration
	f := &Forwarder{To: connector.To(behind.Addr()), Ended: func(_ proactor.Address, d time.Duration, err error) {
		if served = d; err != nil {
			t.Error(err)
		}
	}}
	front := listen(f)
	to := connector.FactoryFunc(func(proactor.Address) transport.Protocol { return client })
	connector.Connect(l, connector.To(front.Addr()), connector.Client{Factory: to}, connector.Options{})
	w.Until("connected", func() bool { return back.t != nil && client.t != nil })
	w.Pass(l, 5*time.Second)
	client.t.AbortConnection()
	w.Until("ended", func() bool { return f.Conns() == 0 && back.lost != nil && client.lost != nil })
	if served < 5*time.Second || served > 6*time.Second {
		t.Errorf("served for %v, want 5s", served)
	}
	front.StopListening()
	behind.StopListening()
}
