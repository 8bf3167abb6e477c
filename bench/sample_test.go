package bench

import (
	"errors"
	"strings"
	"testing"
)

// A load that fails since its server has ended tells of the server's end, not of what
// its connections saw.
func TestServerThatEndedIsBlamed(t *testing.T) {
	seen := errors.New("connection reset by peer")
	lives := &server{child: &child{output: &tail{}, ended: make(chan struct{})}}
	if err := lives.blame(seen); err != seen {
		t.Errorf("a server that lives is blamed: %v", err)
	}
	over := &server{child: &child{output: &tail{}, ended: make(chan struct{}), err: errors.New("signal: killed")}}
	_, _ = over.output.Write([]byte("out of luck\n"))
	close(over.ended)
	for _, want := range []string{"signal: killed", "out of luck"} {
		if err := over.blame(seen); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("of a server that has ended: %v, want %q in it", err, want)
		}
	}
}
