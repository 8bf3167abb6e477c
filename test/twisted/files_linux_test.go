//go:build linux

package twisted

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"mobius/connector"
	"mobius/proactor"
)

// Control messages that are no descriptors are ignored.
func TestCase251UnknownControlMessage(t *testing.T) {
	eachFile(t, func(s *scene) {
		plant := s.silent("server")
		takers := takes(plant)
		p := s.listenWith(plant, connector.ListenOptions{Socket: &proactor.SocketOptions{RecvCredentials: proactor.On}})
		peer, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: p.Addr().Path(), Net: "unix"})
		if err != nil {
			s.Fatal(err)
		}
		defer peer.Close()
		control := syscall.UnixCredentials(&syscall.Ucred{Pid: int32(os.Getpid()), Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())})
		file, err := os.Open(os.DevNull)
		if err != nil {
			s.Fatal(err)
		}
		defer file.Close()
		control = append(control, syscall.UnixRights(int(file.Fd()), int(file.Fd()))...)
		if _, _, err := peer.WriteMsgUnix([]byte("with credentials"), control, nil); err != nil {
			s.Fatal(err)
		}
		s.Until("accepted", func() bool { return len(*takers) == 1 })
		k := (*takers)[0]
		k.has(len("with credentials"))
		if string(k.got) != "with credentials" || len(k.fds) != 2 {
			s.Errorf("received %q and descriptors %v", k.got, k.fds)
		}
		for _, fd := range k.fds {
			s.discard(fd)
		}
	})
}

// Messages that a peer has sent before the loop looks, each with a descriptor,
// to a protocol that has paused: every descriptor comes between the bytes before
// it and its own.
func TestCase253DescriptorsDuringAPause(t *testing.T) {
	eachFile(t, func(s *scene) {
		plant := s.plant("server")
		takers := takes(plant)
		p := s.listenWith(plant, connector.ListenOptions{})
		peer, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: p.Addr().Path(), Net: "unix"})
		if err != nil {
			s.Fatal(err)
		}
		defer peer.Close()
		s.Until("accepted", func() bool { return len(*takers) == 1 })
		file, err := os.Open(os.DevNull)
		if err != nil {
			s.Fatal(err)
		}
		defer file.Close()
		k := (*takers)[0]
		s.turns(3) // the receive is under way
		k.t.PauseReading()
		for _, text := range []string{"first", "second", "third"} {
			if _, _, err := peer.WriteMsgUnix([]byte(text), syscall.UnixRights(int(file.Fd())), nil); err != nil {
				s.Fatal(err)
			}
		}
		s.turns(3)
		k.t.ResumeReading()
		k.has(len("firstsecondthird"))
		got := strings.Join(s.events, ", ")
		if !strings.HasSuffix(got, "server file after 0 bytes, server file after 5 bytes, server file after 11 bytes") {
			s.Errorf("received %q: %s", k.got, got)
		}
		for _, fd := range k.fds {
			s.discard(fd)
		}
	})
}
