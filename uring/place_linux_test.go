//go:build linux && (amd64 || arm64)

package uring

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// needDirect skips a test on kernels without what Options.Direct needs.
func needDirect(t testing.TB) {
	t.Helper()
	r := Probe()
	if r.Direct == "" {
		return
	}
	var major, minor int
	if n, _ := fmt.Sscanf(r.Kernel, "%d.%d", &major, &minor); n == 2 && (major < 6 || major == 6 && minor < 13) {
		t.Skipf("sockets in the ring's table need Linux 6.13, and this is %s: %s", r.Kernel, r.Direct)
	}
	testenv.Missing(t, "%s", r.Direct)
}

// openDirect opens a backend with a table, which is in use from its first Poll on.
func openDirect(t testing.TB, o Options) *Backend {
	t.Helper()
	b := openTest(t, o)
	if err := b.Poll(0); err != nil {
		t.Fatal(err)
	}
	return b
}

// A porch keeps what an accept delivers.
type porch struct {
	op    proactor.Op
	peer  proactor.Address
	came  []proactor.Handle
	peers []proactor.Address
	err   error
}

func (p *porch) Complete(op *proactor.Op) {
	if op.Err != nil {
		p.err = op.Err
		return
	}
	p.came, p.peers = append(p.came, op.New), append(p.peers, p.peer)
}

func newPorch(t testing.TB, b *Backend) (*porch, proactor.Address) {
	t.Helper()
	h, addr, err := b.Listen(localhost, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &porch{}
	p.op = proactor.Op{Kind: proactor.OpAccept, Handle: h, Owner: p, Addr: &p.peer}
	b.Submit(&p.op)
	return p, addr
}

// Streams in the table have no descriptors, and all else that streams have.
func TestDirectStreamsHaveNoDescriptors(t *testing.T) {
	b := openDirect(t, Options{Direct: 64})
	p, addr := newPorch(t, b)
	before := len(testenv.Descriptors())
	client := rawDial(t, addr)
	until(t, b, "it is accepted", func() bool { return len(p.came) == 1 })
	h := p.came[0]
	out, err := b.Stream(addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	x := &stuck{}
	op := proactor.Op{Kind: proactor.OpConnect, Handle: out, Addr: &addr, Owner: x}
	b.Submit(&op)
	until(t, b, "it is connected", func() bool { return !op.Active() && len(p.came) == 2 })
	if n := len(testenv.Descriptors()) - before; n != 1 {
		t.Errorf("three ends of two connections in this process have %d descriptors, want the client's only", n)
	}
	if s := b.Stats(); s.Handles != 4 || s.Direct != 4 {
		t.Errorf("%d handles, %d places; want a listener and three streams, which have places, and one for the next", s.Handles, s.Direct)
	}
	theirs, err := unix.Getsockname(client)
	if err != nil {
		t.Fatal(err)
	}
	local, remote, err := b.Names(h)
	if port := theirs.(*unix.SockaddrInet4).Port; err != nil || local != addr || int(remote.Port()) != port || p.peers[0] != remote {
		t.Errorf("Names: %v, %v, %v, and the accept told of %v; want %v and port %d", local, remote, err, p.peers[0], addr, port)
	}
	if n, err := b.Number(h); err != proactor.ErrUnsupported {
		t.Errorf("Number: %d, %v; want ErrUnsupported", n, err)
	}
	if n, err := b.TryWrite(h, [][]byte{{1}}); n != 0 || err != nil {
		t.Errorf("TryWrite: %d, %v; want 0, nil: nothing is taken", n, err)
	}
	if err := b.SetOptions(h, &proactor.SocketOptions{KeepAliveCount: 7}); err != nil {
		t.Error(err)
	}
	if o, err := b.Options(h); err != nil || o.KeepAliveCount != 7 {
		t.Errorf("Options: %+v, %v", o, err)
	}
	if err := b.Shutdown(h); err != nil {
		t.Error(err)
	}
	if n, err := unix.Read(client, make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("after Shutdown the peer reads %d, %v", n, err)
	}
	if n := len(testenv.Descriptors()) - before; n != 1 {
		t.Errorf("%d descriptors are left of these calls", n-1)
	}
}

// Half closes start no worker threads of the kernel's, as IORING_OP_SHUTDOWN does.
func TestDirectHalfClosesStartNoWorkers(t *testing.T) {
	b := openDirect(t, Options{Direct: 64})
	s := serve(t, b)
	done, result := background(b, 10, func(i int) error { return ping(s.addr, uint64(i), 1<<20) })
	until(t, b, "everybody is served", func() bool { return done() && len(s.conns) == 0 })
	if err := result(); err != nil {
		t.Fatal(err)
	}
	h, err := b.Stream(s.address, nil)
	if err != nil {
		t.Fatal(err)
	}
	op := proactor.Op{Kind: proactor.OpConnect, Handle: h, Addr: &s.address, Owner: &stuck{}}
	b.Submit(&op)
	until(t, b, "it is connected", func() bool { return !op.Active() })
	if err := b.Shutdown(h); err != nil {
		t.Fatal(err)
	}
	if w := workerThreads(); w != 0 {
		t.Errorf("%d worker threads", w)
	}
	until(t, b, "the other end is told", func() bool { return s.ended == 11 })
	if err := b.CloseFD(h); err != nil {
		t.Fatal(err)
	}
	until(t, b, "nothing is left but the next connection's place", func() bool { return b.Stats().Direct == 1 })
}

// A table that is all but full has its listeners wait: connections stay in
// their queues, unharmed, and are accepted once there are places.
func TestDirectAcceptsPauseBeforeTheTableIsFull(t *testing.T) {
	const size, spare = 32, 2
	b := openDirect(t, Options{Direct: size})
	p, addr := newPorch(t, b)
	var clients []net.Conn
	for range size + 8 {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	until(t, b, "the table is used up but for the spare places", func() bool { return len(p.came) == size-spare })
	for range 5 {
		if err := b.Poll(time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if s := b.Stats(); len(p.came) != size-spare || p.err != nil || s.PeerGone != 0 || s.Direct != size-spare {
		t.Fatalf("%d of %d were accepted, %v, %+v", len(p.came), len(clients), p.err, s)
	}
	var own []proactor.Handle
	for range spare {
		h, err := b.Stream(addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		own = append(own, h)
	}
	if _, err := b.Stream(addr, nil); !errors.Is(err, syscall.ENFILE) || !strings.Contains(err.Error(), "32 places") {
		t.Errorf("Stream without a place: %v, want ENFILE, and why", err)
	}
	for _, h := range own {
		if err := b.CloseFD(h); err != nil {
			t.Fatal(err)
		}
	}
	for i := range clients { // each that goes makes room for one that waits
		if i < 10 {
			if err := b.CloseFD(p.came[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	until(t, b, "all are accepted", func() bool { return len(p.came) == len(clients) })
	for i, c := range clients[size:] {
		if _, err := c.Write([]byte{byte(i)}); err != nil {
			t.Errorf("a client that has waited: %v", err)
		}
	}
	b.Cancel(&p.op)
	until(t, b, "the accept ends", func() bool { return p.err != nil })
	for _, h := range p.came[10:] {
		if err := b.CloseFD(h); err != nil {
			t.Fatal(err)
		}
	}
	if s := b.Stats(); s.Direct != 0 || p.err != proactor.ErrCanceled {
		t.Errorf("%d places are lost; accept ended with %v", s.Direct, p.err)
	}
}

// An accept that waits for a place can be cancelled, and taken back.
func TestDirectAcceptThatWaitsIsCancelled(t *testing.T) {
	b := openDirect(t, Options{Direct: 2}) // one for accepts, one to spare
	p, addr := newPorch(t, b)
	rawDial(t, addr)
	until(t, b, "the only place is taken", func() bool { return len(p.came) == 1 })
	b.Cancel(&p.op)
	b.Resume(&p.op)
	until(t, b, "it waits again", func() bool { return p.op.Active() && p.op.B.State == proactor.Active })
	b.Cancel(&p.op)
	until(t, b, "it ends", func() bool { return p.err == proactor.ErrCanceled })
	b.Submit(&p.op)
	rawDial(t, addr)
	if err := b.CloseFD(p.came[0]); err != nil {
		t.Fatal(err)
	}
	until(t, b, "there is a place for the next", func() bool { return len(p.came) == 2 })
	if p.came[1].Index() != p.came[0].Index() || p.came[1] == p.came[0] {
		t.Errorf("handles %v and %v; want the same place, in another generation", p.came[0], p.came[1])
	}
	if err := b.Shutdown(p.came[0]); err != proactor.ErrClosed {
		t.Errorf("the first one's handle: %v, want ErrClosed", err)
	}
}

// A connection goes from one ring's table to another's by way of a descriptor,
// which is gone afterwards. If that table is full it stays a descriptor.
func TestDirectHandOver(t *testing.T) {
	b := openDirect(t, Options{Direct: 8})
	other, err := Open(Options{Direct: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Poll(0); err != nil {
		t.Fatal(err)
	}
	p, addr := newPorch(t, b)
	before := len(testenv.Descriptors())
	for i := range 2 {
		client := rawDial(t, addr)
		until(t, b, "it is accepted", func() bool { return len(p.came) == i+1 })
		fd, err := b.Detach(p.came[i])
		if err != nil {
			t.Fatal(err)
		}
		h, err := other.Adopt(fd)
		if err != nil {
			t.Fatal(err)
		}
		if place := i == 0; placed(h) != place {
			t.Errorf("connection %d is handle %v", i, h)
		}
		c := &conn{s: &server{b: other}, h: h, recv: proactor.Op{Kind: proactor.OpRecv, Handle: h}}
		c.recv.Owner, c.send = c, proactor.Op{Kind: proactor.OpSend, Handle: h, Owner: c}
		other.Submit(&c.recv)
		if _, err := unix.Write(client, []byte{7}); err != nil {
			t.Fatal(err)
		}
		back := make(chan error, 1)
		go func() {
			_, err := unix.Read(client, make([]byte, 1))
			back <- err
		}()
		until(t, other, "it is echoed", func() bool { return len(back) == 1 })
		if err := <-back; err != nil {
			t.Fatal(err)
		}
	}
	if n := len(testenv.Descriptors()) - before; n != 3 {
		t.Errorf("%d descriptors, want those of two clients and of the connection that found no place", n)
	}
	if s, o := b.Stats(), other.Stats(); s.Direct != 1 || o.Direct != 1 {
		t.Errorf("%d and %d places are taken, want the next connection's, and one", s.Direct, o.Direct)
	}
}

// What Direct cannot be had for is an error that says so, and no reason to go
// on with another backend.
func TestDirectThatCannotBeHad(t *testing.T) {
	needDirect(t)
	testenv.Leaks(t)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Direct: int(limit.Cur) + 1})
	if !errors.Is(err, syscall.EMFILE) || !strings.Contains(fmt.Sprint(err), "RLIMIT_NOFILE") || errors.Is(err, ErrUnavailable) {
		t.Errorf("more places than RLIMIT_NOFILE: %v", err)
	}
	for _, op := range []uint32{IORING_REGISTER_FILES2, IORING_REGISTER_FILES_UPDATE} {
		_, err := Open(Options{Direct: 8, inject: func(call string, n uint32) syscall.Errno {
			if call == "register" && n == op {
				return unix.EINVAL
			}
			return 0
		}})
		if !errors.Is(err, syscall.EINVAL) || !strings.Contains(fmt.Sprint(err), "Options.Direct") || errors.Is(err, ErrUnavailable) {
			t.Errorf("a kernel that refuses %d: %v", op, err)
		}
	}
	_, err = Open(Options{Direct: -1})
	if !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Direct -1: %v", err)
	}
}

// Calls that want a descriptor get one also if the process has none left: the
// one that is kept for refusing connections.
func TestDirectWithoutDescriptorsLeft(t *testing.T) {
	b := openDirect(t, Options{Direct: 8})
	p, addr := newPorch(t, b)
	client := rawDial(t, addr)
	until(t, b, "it is accepted", func() bool { return len(p.came) == 1 })
	give := noDescriptors(t)
	_, _, names := b.Names(p.came[0])
	shut := b.Shutdown(p.came[0])
	_, stream := b.Stream(addr, nil)
	give()
	if names != nil || shut != nil {
		t.Errorf("without descriptors: Names %v, Shutdown %v", names, shut)
	}
	if stream != syscall.EMFILE {
		t.Errorf("Stream without descriptors: %v, want EMFILE", stream)
	}
	if n, err := unix.Read(client, make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("after Shutdown the peer reads %d, %v", n, err)
	}
}

// noDescriptors lowers the limit so that there is none below it.
func noDescriptors(t *testing.T) (give func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(fd)
	low := old
	low.Cur = uint64(fd)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	give = func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	}
	return give
}

// A completion that is looked for and comes late, after all others, belongs to
// nobody: its descriptor is closed.
func TestDirectErrandThatWasGivenUp(t *testing.T) {
	b := openDirect(t, Options{Direct: 8})
	fd, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	b.dispatch(CQE{UserData: userData(kindErrand, 0, 77), Res: int32(fd)})
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("it is still open: %v", err)
	}
	b.dispatch(CQE{UserData: userData(kindErrand, 0, 78), Res: -int32(unix.EBADF)})
}
