package connector

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/test/backends"
)

// With socat as the peer, both ways, unix streams carry what they should, by
// path and by abstract name.
func TestSocat(t *testing.T) {
	socat := testenv.Program(t, "socat")
	backends.EachReal(t, func(w *backends.World) {
		s := newScene(w)
		dir, err := os.MkdirTemp("", "m")
		if err != nil {
			s.Fatal(err)
		}
		s.Cleanup(func() { _ = os.RemoveAll(dir) })
		text := strings.Repeat("something for socat\n", 5000)
		for kind, name := range map[string]string{"UNIX": filepath.Join(dir, "s"), "ABSTRACT": "@mobius-" + filepath.Base(dir)} {
			at := proactor.UnixAddress(name)
			s.socatAsClient(socat, kind+"-CONNECT:"+strings.TrimPrefix(name, "@"), at, text)
			s.socatAsServer(socat, kind+"-LISTEN:"+strings.TrimPrefix(name, "@"), at, text)
		}
	})
}

// socatAsClient has socat send text, and read it back.
func (s *scene) socatAsClient(socat, address string, at proactor.Address, text string) {
	s.Helper()
	echo := s.quiet()
	echo.talker.onData = func(p *talker) {
		_, _ = p.t.Write(p.got)
		p.got = nil
	}
	port, err := Listen([]*loop.Loop{s.l}, at, echo, ListenOptions{})
	if err != nil {
		s.Fatal(err)
	}
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(s.Context(), socat, "-t", "10", "-", address)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(text), &out, &complaints
	ended := make(chan error, 1)
	go func() { ended <- cmd.Run() }()
	over := false
	s.Until("socat has ended", func() bool {
		select {
		case err = <-ended:
			over = true
		default:
		}
		return over
	})
	if err != nil || out.String() != text {
		s.Errorf("socat %s: %v, %d of %d bytes came back; %s", address, err, out.Len(), len(text), complaints.String())
	}
	s.wait(port.StopListening())
}

// socatAsServer has socat echo what we send.
func (s *scene) socatAsServer(socat, address string, at proactor.Address, text string) {
	s.Helper()
	var complaints bytes.Buffer
	cmd := exec.CommandContext(s.Context(), socat, address, "PIPE")
	cmd.Stderr = &complaints
	ended := make(chan error, 1)
	go func() { ended <- cmd.Run() }()
	f := s.quiet()
	f.talker.onMade = func(p *talker) { _, _ = p.t.Write([]byte(text)) }
	f.onFailed = func(c *Connector) { _ = c.ConnectAfter(10e6) } // it does not listen yet
	Connect(s.l, To(at), f, Options{})
	s.Until("all came back", func() bool { return len(f.made) == 1 && len(f.made[0].got) >= len(text) })
	if string(f.made[0].got) != text {
		s.Errorf("socat %s: other bytes came back", address)
	}
	f.made[0].t.LoseConnection()
	s.Until("lost", func() bool { return f.made[0].err != nil })
	if err := <-ended; err != nil {
		s.Errorf("socat %s: %v; %s", address, err, complaints.String())
	}
}
