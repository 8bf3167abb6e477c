package sim

import "testing"

// A schedule is what a seed and the rates of the faults make of a run of
// everything: it comes to its end, leaves nothing behind, and is the same again.
func FuzzSchedule(f *testing.F) {
	f.Add(uint64(1), []byte{})
	f.Add(uint64(2), []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add(uint64(3), []byte("\x10\x00\x40\x00\x00\x80\x00\x00\xff\x00\x20\x03\x08\x08\x08\x08\x08\x08\x40\x40\x40"))
	f.Fuzz(func(t *testing.T, seed uint64, rates []byte) {
		faults := NoFaults
		for k, r := range rates[:min(len(rates), int(faultKinds))] {
			most := 0.3 // what failures, and polls that return early, are drawn from at most
			if Fault(k).Harmless() && Fault(k) != EarlyReturn {
				most = 0.7
			}
			faults = faults.Set(float64(r)/255*most, Fault(k))
		}
		run := func() uint64 {
			n := New(Options{Seed: seed, Faults: faults})
			if err := everything(n); err != nil {
				t.Fatal(err)
			}
			if err := n.Leaks(); err != nil {
				t.Error(err)
			}
			return n.TraceHash()
		}
		if a, b := run(), run(); a != b {
			t.Errorf("traces %x and %x of one schedule", a, b)
		}
	})
}
