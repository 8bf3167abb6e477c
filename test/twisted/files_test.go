package twisted

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

// A taker is a talker that takes descriptors.
type taker struct {
	*talker
	fds    []int
	onFile func()
}

func (k *taker) FileDescriptorReceived(fd int) {
	k.fds = append(k.fds, fd)
	k.note("file after %d bytes", len(k.got))
	if k.onFile != nil {
		k.onFile()
	}
}

// takes makes a plant's protocols take descriptors.
func takes(f *plant) *[]*taker {
	made := &[]*taker{}
	f.wrap = func(p *talker) transport.Protocol {
		k := &taker{talker: p}
		*made = append(*made, k)
		return k
	}
	return made
}

// gift returns a descriptor, one end of a connection whose other is the
// talker's.
func (s *scene) gift() (int, *talker) {
	s.Helper()
	over := &scene{World: s.World, l: s.l, wire: tcp4}
	theirs, mine := over.pair(over.silent("theirs"), over.silent("mine"))
	fd := -1
	err := theirs.t.Detach(func(h proactor.Handle, _ []byte, err error) {
		if err == nil {
			fd, err = s.l.Sockets().Detach(h)
		}
		if err != nil {
			s.Error(err)
		}
	})
	if err != nil {
		s.Fatal(err)
	}
	s.Until("detached", func() bool { return fd >= 0 })
	return fd, mine
}

// discard closes a descriptor.
func (s *scene) discard(fd int) {
	s.Helper()
	if err := s.l.Sockets().Discard(fd); err != nil {
		s.Errorf("closing descriptor %d: %v", fd, err)
	}
}

// adopt makes a talker of a descriptor.
func (s *scene) adopt(fd int) *talker {
	s.Helper()
	h, err := s.l.Sockets().Adopt(fd)
	if err != nil {
		s.Fatal(err)
	}
	p := &talker{s: s, name: "adopted", quiet: true}
	transport.NewConn(s.l, h, proactor.Address{}, proactor.Address{}, nil).Start(p)
	return p
}

// send sends a descriptor.
func (p *talker) send(fd int) {
	p.s.Helper()
	f, ok := transport.As[transport.FileSender](p.t)
	if !ok {
		p.s.Fatal("the transport sends no descriptors")
	}
	if err := f.SendFileDescriptor(fd); err != nil {
		p.s.Fatal(err)
	}
}

// eachCarrier is eachUNIX, and simulated networks that cut, delay and starve in
// every way that a program must not notice.
func eachCarrier(t *testing.T, f func(s *scene)) {
	eachUNIX(t, f)
	for seed := range uint64(harmlessSeeds) {
		t.Run(fmt.Sprintf("sim, seed %d", seed), func(t *testing.T) {
			f(newScene(backends.Simulate(t, sim.Options{Seed: seed, Harmless: true}), unix))
		})
	}
}

// eachStreamOfFiles is eachCarrier with a server that takes descriptors.
func eachStreamOfFiles(t *testing.T, f func(s *scene, server *taker, client *talker)) {
	eachCarrier(t, func(s *scene) {
		plant := s.plant("server")
		takers := takes(plant)
		_, client := s.pair(plant, s.silent("client"))
		f(s, (*takers)[0], client)
	})
}

func TestCase247SendDescriptor(t *testing.T) {
	eachStreamOfFiles(t, func(s *scene, server *taker, client *talker) {
		fd, mine := s.gift()
		client.send(fd)
		client.write("x")
		server.has(1)
		if len(server.fds) != 1 {
			s.Fatalf("descriptors %v", server.fds)
		}
		s.discard(fd)
		got := s.adopt(server.fds[0])
		got.write("through the copy")
		mine.has(len("through the copy"))
		mine.write("and back")
		got.has(len("and back"))
		got.t.LoseConnection()
		s.bothLost(got, mine) // it was the last copy
	})
}

// With more than 64 descriptors in the queue a writer is told to pause.
func TestCase248ManyDescriptors(t *testing.T) {
	eachCarrier(t, func(s *scene) {
		server, client := s.silent("server"), s.plant("client")
		takers := takes(server)
		client.wrap = func(p *talker) transport.Protocol { return &pacedTalker{talker: p} }
		_, c := s.pair(server, client)
		fd, mine := s.gift()
		c.write(strings.Repeat("x", 100))
		for range 64 {
			c.send(fd)
		}
		s.expect()
		c.send(fd)
		s.expect("client pause")
		s.await("client resume")
		k := (*takers)[0]
		s.Until("all are there", func() bool { return len(k.fds) == 65 })
		for _, fd := range k.fds {
			s.discard(fd)
		}
		sender, _ := transport.As[transport.FileSender](c.t)
		c.write(strings.Repeat("x", 300))
		for range 253 {
			c.send(fd)
		}
		if err := sender.SendFileDescriptor(fd); !errors.Is(err, transport.ErrFull) {
			s.Errorf("one too many: %v", err)
		}
		k.fds = nil
		s.Until("all are there", func() bool { return len(k.fds) == 253 })
		for _, fd := range k.fds {
			s.discard(fd)
		}
		s.discard(fd)
		s.Until("no copy is left", func() bool { return mine.err != nil })
	})
}

func TestCase249Overrun(t *testing.T) {
	eachStreamOfFiles(t, func(s *scene, server *taker, client *talker) {
		fd, mine := s.gift()
		client.write("x")
		client.send(fd)
		client.send(fd)
		s.Until("lost", func() bool { return client.err != nil && server.err != nil })
		if kindOf(client.err) != "failed" || !errors.Is(client.err, transport.ErrFileOverrun) {
			s.Errorf("lost with %v", client.err)
		}
		if len(server.fds) != 0 {
			s.Errorf("descriptors %v", server.fds)
		}
		s.discard(fd)
		s.Until("no copy is left", func() bool { return mine.err != nil })
	})
}

// Descriptors for a protocol that does not take them are closed.
func TestCase252NoReceiver(t *testing.T) {
	eachCarrier(t, func(s *scene) {
		server, client := s.pair(s.silent("server"), s.silent("client"))
		fd, mine := s.gift()
		for range 3 {
			client.send(fd)
		}
		client.write("xyz")
		server.has(3)
		s.discard(fd)
		s.Until("no copy is left", func() bool { return mine.err != nil })
	})
}

func TestCase253DescriptorBeforeBytes(t *testing.T) {
	eachStreamOfFiles(t, func(s *scene, server *taker, client *talker) {
		fd, _ := s.gift()
		client.write("before")
		server.has(6)
		client.send(fd)
		client.write("after")
		server.has(11)
		s.expect("server file after 6 bytes")
		server.t.PauseReading()
		client.write("a")
		s.turns(3)
		client.send(fd)
		client.write("b")
		s.turns(3)
		client.write("c")
		s.turns(3)
		s.expect()
		server.t.ResumeReading()
		server.has(14)
		glued := s.Net == nil // a kernel may give the bytes before it together with those that carried it
		if len(s.events) != 1 || s.events[0] != "server file after 12 bytes" && !(glued && s.events[0] == "server file after 11 bytes") {
			s.Errorf("after the pause: %v", s.events)
		}
		for _, fd := range append(server.fds, fd) {
			s.discard(fd)
		}
	})
}

// Bytes that have come before a pause takes hold are kept, and so is what comes
// after them while the receive is being ended: each descriptor keeps its place.
func TestCase253DescriptorBehindKeptBytes(t *testing.T) {
	for seed := range uint64(64) {
		t.Run(fmt.Sprintf("sim, seed %d", seed), func(t *testing.T) {
			s := newScene(backends.Simulate(t, sim.Options{Seed: seed, Harmless: true}), unix)
			plant := s.plant("server")
			takers := takes(plant)
			_, client := s.pair(plant, s.silent("client"))
			server := (*takers)[0]
			fd, _ := s.gift()
			s.expect()
			server.t.PauseReading()
			for i := range 6 {
				if i > 0 {
					client.send(fd)
				}
				client.write("ab")
				s.turns(1 + int(seed)%2)
			}
			s.turns(int(seed) % 5)
			server.t.ResumeReading()
			server.has(12)
			s.Logf("seed %d: %q", seed, s.events)
			for i, e := range s.events { // one receive may bring what several sends carried
				n := 0
				if _, err := fmt.Sscanf(e, "server file after %d bytes", &n); err != nil || n < 2 || n > 2*(i+1) {
					s.Errorf("event %d is %q, want a descriptor after 2 to %d bytes", i, e, 2*(i+1))
				}
			}
			if len(s.events) != 5 {
				s.Errorf("%d descriptors, want 5", len(s.events))
			}
			for _, fd := range append(server.fds, fd) {
				s.discard(fd)
			}
		})
	}
}

// What is received but not delivered is closed.
func TestDescriptorsOfALostConnection(t *testing.T) {
	eachStreamOfFiles(t, func(s *scene, server *taker, client *talker) {
		fd, mine := s.gift()
		server.t.PauseReading()
		client.send(fd)
		client.write("x")
		s.turns(5)
		server.t.AbortConnection()
		s.discard(fd)
		s.Until("no copy is left", func() bool { return mine.err != nil })
		if len(server.fds) != 0 {
			s.Errorf("descriptors %v", server.fds)
		}
	})
	eachStreamOfFiles(t, func(s *scene, server *taker, client *talker) {
		fd, mine := s.gift()
		server.onFile = func() {
			if len(server.fds) == 2 {
				server.t.AbortConnection()
			}
		}
		for range 3 {
			client.send(fd)
		}
		client.write("xyz")
		s.Until("lost", func() bool { return server.err != nil })
		if len(server.fds) != 2 || len(server.got) != 0 {
			s.Errorf("%d descriptors, %q", len(server.fds), server.got)
		}
		for _, fd := range append(server.fds, fd) {
			s.discard(fd)
		}
		s.Until("no copy is left", func() bool { return mine.err != nil })
	})
}

// The descriptor is copied when it is queued: what has its number later is not
// sent.
func TestX37DescriptorIsCopied(t *testing.T) {
	eachStreamOfFiles(t, func(s *scene, server *taker, client *talker) {
		fd, mine := s.gift()
		client.send(fd)
		client.write("x")
		s.discard(fd)
		other, _, err := s.l.Sockets().Listen(s.address(), nil) // on a real system it gets the number
		if err != nil {
			s.Fatal(err)
		}
		server.has(1)
		got := s.adopt(server.fds[0])
		got.write("it is me")
		mine.has(len("it is me"))
		if err := s.l.Sockets().CloseFD(other); err != nil {
			s.Error(err)
		}
	})
}

// Received descriptors are not inherited by children.
func TestX38CloseOnExec(t *testing.T) {
	eachFile(t, func(s *scene) {
		plant := s.silent("server")
		takers := takes(plant)
		_, client := s.pair(plant, s.silent("client"))
		r, w, err := os.Pipe()
		if err != nil {
			s.Fatal(err)
		}
		defer r.Close()
		client.send(int(w.Fd()))
		client.write("x")
		k := (*takers)[0]
		k.has(1)
		flags, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", k.fds[0]))
		if err != nil {
			testenv.Missing(s, "no procfs: %v", err)
		}
		if !strings.Contains(string(flags), "\nflags:\t02") { // O_CLOEXEC, octal 02000000
			s.Errorf("descriptor %d:\n%s", k.fds[0], flags)
		}
		s.discard(k.fds[0])
		w.Close()
	})
}

// Only unix sockets carry descriptors.
func TestDescriptorsOverTCP(t *testing.T) {
	eachTCP(t, func(s *scene) {
		_, client := s.pair(s.silent("server"), s.silent("client"))
		f, _ := transport.As[transport.FileSender](client.t)
		if err := f.SendFileDescriptor(0); !errors.Is(err, proactor.ErrUnsupported) {
			s.Errorf("over TCP: %v", err)
		}
		client.t.AbortConnection()
		if err := f.SendFileDescriptor(0); !errors.Is(err, transport.ErrNotWritable) {
			s.Errorf("after the end: %v", err)
		}
	})
	eachUNIX(t, func(s *scene) {
		_, client := s.pair(s.silent("server"), s.silent("client"))
		f, _ := transport.As[transport.FileSender](client.t)
		if err := f.SendFileDescriptor(1 << 30); !errors.Is(err, syscall.EBADF) {
			s.Errorf("a descriptor that is none: %v", err)
		}
	})
}
