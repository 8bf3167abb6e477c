package twisted

import (
	"os"
	"strings"
	"testing"

	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/transport/process"
)

// A child runs as the user, with the groups and in the directory that were
// named.
func TestChildOfAnotherUserElsewhere(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Missing(t, "only root may become another user")
	}
	eachChild(t, nil, "id -u; id -g; id -G; pwd", func(s *scene, p *parent, c process.Command) {
		c.User = &proactor.User{UID: 12345, GID: 23456, Groups: []uint32{23456, 34567}}
		c.Dir = "/"
		s.spawn(p, c)
		p.awaitEnd()
		if got := strings.Fields(p.out[1]); strings.Join(got, " ") != "12345 23456 23456 34567 /" {
			s.Errorf("the child says %q", p.out[1])
		}
	})
}
