package datagram

import (
	"net"
	"testing"

	"mobius/internal/invariant"
	"mobius/proactor"
	"mobius/test/backends"
)

// A flood of 100,000 datagrams, empty ones among them, costs some of them and
// nothing else, with few buffers as with many: what is sent afterwards arrives.
func TestFloodOnlyDrops(t *testing.T) {
	flood := func(w *backends.World) {
		s := &site{w, w.Loop()}
		got := 0
		in := &log{on: func([]byte, proactor.Address) { got++ }}
		port := s.listen(s.v4(), in, nil)
		peer, err := net.Dial("udp", port.LocalAddr().String())
		if err != nil {
			s.Fatal(err)
		}
		defer peer.Close()
		n := 100_000
		if testing.Short() || invariant.Enabled {
			n = 10_000
		}
		over := make(chan error, 1)
		go func() {
			text := make([]byte, 32)
			for i := range n {
				if _, err := peer.Write(text[:i%33]); err != nil {
					over <- err
					return
				}
			}
			over <- nil
		}()
		ended := false
		s.Until("the flood is over", func() bool {
			in.events = in.events[:0]
			select {
			case err = <-over:
				ended = true
			default:
			}
			return ended
		})
		if err != nil || got == 0 {
			s.Fatalf("%d of %d came, %v", got, n, err)
		}
		s.Logf("%d of %d came", got, n)
		out := s.listen(s.v4(), &log{}, nil)
		for range 10 {
			in.events = in.events[:0]
			s.insist(out, "afterwards", port.LocalAddr(), in.has(`"afterwards"`)) // the socket may be full still
		}
	}
	backends.EachReal(t, flood)
	t.Run("hostile", func(t *testing.T) { backends.EachHostile(t, flood) })
}
