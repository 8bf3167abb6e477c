//go:build linux

package stress

import (
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
	"mobius/transport"
)

// fullListener returns the address of a listener whose backlog is full, and
// what frees it.
func fullListener(s *site) (addr string, done func()) {
	s.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		err = syscall.Listen(fd, 0)
	}
	if err != nil {
		s.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		s.Fatal(err)
	}
	to := name.(*syscall.SockaddrInet4)
	fds := []int{fd}
	for range 4 { // one more than fits, and those whose last packet is dropped
		c, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			s.Fatal(err)
		}
		fds = append(fds, c)
		_ = syscall.Connect(c, to) // it is under way
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(to.Port)), func() {
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
	}
}

// A limit of descriptors that is raised while the reactor has met it is heeded,
// without a restart.
func TestRaisedLimit(t *testing.T) {
	each(t, func(s *site) {
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			s.Fatal(err)
		}
		defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old) }()
		low := old
		low.Cur = 256
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
			s.Fatal(err)
		}
		var e end
		port := s.listen(func() mobius.Protocol { return &echo{end: &e} }, mobius.ListenOptions{})
		to := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(port.Addr().Port())}
		var before []int
		for range 5 {
			fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
			if err != nil {
				s.Fatal(err)
			}
			before = append(before, fd)
			if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 10}); err != nil {
				s.Fatal(err)
			}
		}
		defer func() {
			for _, fd := range before {
				_ = syscall.Close(fd)
			}
		}()
		var taken []*os.File
		for {
			f, err := os.Open(os.DevNull)
			if err != nil {
				break
			}
			taken = append(taken, f)
		}
		var ended []error
		for _, fd := range before {
			err := testenv.Again(func() error { return syscall.Connect(fd, to) })
			if err != nil && err != syscall.ECONNRESET { // which may come before connect(2) has returned
				s.Fatal(err)
			}
			ended = append(ended, err)
		}
		err := ended[0]
		if err == nil {
			err = firstRead(before[0])
		}
		if err != syscall.ECONNRESET {
			s.Errorf("a client for whom there is no descriptor: %v, want a reset", err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			s.Fatal(err)
		}
		testenv.Eventually(s, patience(), "clients are served again", func() bool {
			c, err := dial(port.Addr().String())
			if err != nil {
				return false
			}
			defer c.Close()
			return says(c, []byte("again")) == nil
		})
		for _, f := range taken {
			_ = f.Close()
		}
	})
}

// A fate takes note of what became of an attempt.
type fate struct {
	mobius.ClientBase
	failed chan error
}

func (f *fate) BuildProtocol(mobius.Address) mobius.Protocol { return &echo{end: &end{}} }

func (f *fate) ConnectionFailed(_ *mobius.Connector, err error) { f.failed <- err }

// Attempts that cannot succeed say why: nobody is there, nothing leads there,
// nobody answers.
func TestAttemptsThatFail(t *testing.T) {
	each(t, func(s *site) {
		full, fill := fullListener(s)
		defer fill()
		unused := s.listen(func() mobius.Protocol { return nil }, mobius.ListenOptions{})
		stopped := make(chan error, 1)
		s.ask(func() { unused.StopListening().Then(func(_ struct{}, err error) { stopped <- err }) })
		<-stopped
		for _, c := range []struct {
			to   string
			kind transport.Kind
			err  error
		}{
			{unused.Addr().String(), transport.Refused, syscall.ECONNREFUSED},
			{"255.255.255.255:9", transport.Failed, syscall.ENETUNREACH}, // tcp(7): no connections to a broadcast address
			{full, transport.TimedOut, nil},
		} {
			to, err := mobius.ParseDestination("tcp", c.to)
			if err != nil {
				s.Fatal(err)
			}
			f := &fate{failed: make(chan error, 1)}
			s.ask(func() { _, err = s.Connect(to, f, mobius.ConnectOptions{ConnectTimeout: 200 * time.Millisecond}) })
			if err != nil {
				s.Fatal(err)
			}
			select {
			case err = <-f.failed:
			case <-time.After(patience()):
				s.Fatalf("%s: the attempt does not end", c.to)
			}
			var e *transport.ConnError
			if !errors.As(err, &e) || e.Kind != c.kind || c.err != nil && !errors.Is(err, c.err) {
				s.Errorf("%s: %v, want it %v", c.to, err, c.kind)
			}
		}
	})
}

// firstRead reads until a signal is not what ends it: the runtime's own
// interrupt a read that has a timeout (signal(7)).
func firstRead(fd int) error {
	return testenv.Again(func() error {
		_, err := syscall.Read(fd, make([]byte, 1))
		return err
	})
}
