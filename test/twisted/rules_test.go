package twisted

import (
	"testing"

	"mobius/transport"
)

// Writes while the writer is told to wait do not tell it again; each
// PauseWriting is followed by one ResumeWriting.
func TestX20PauseOnce(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server, client := s.plant("server"), s.silent("client")
		server.wrap = func(p *talker) transport.Protocol { return &pacedTalker{talker: p} }
		a, b := s.pairWith(server, client, &transport.Options{HighWater: 1000, LowWater: 100})
		for round := range 3 {
			for range 4 {
				a.write(string(make([]byte, 600)))
			}
			s.expect("server pause")
			b.has((round + 1) * 2400)
			s.await("server resume")
			s.expect("server resume")
		}
	})
}
