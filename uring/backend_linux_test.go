//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/proactor"
)

var localhost = proactor.IPAddress(proactor.TCP, netip.MustParseAddr("127.0.0.1"), 0)

// configs are the backends on which the tests of this package run.
var configs = []struct {
	name string
	o    Options
}{
	{"default", Options{}},
	{"plain", Options{Plain: true}},
	{"unrestricted", Options{Unrestricted: true}},
	{"masked", Options{Without: Features()}},
	{"tiny", Options{Entries: 4, CQEntries: 4, Buffers: 2, BufferSize: 512, Holds: 1, Datagrams: 2}},
	{"tiny-plain", Options{Entries: 4, CQEntries: 4, Buffers: 2, BufferSize: 64, Holds: 1, Datagrams: 2, Plain: true}},
	{"direct", Options{Direct: 64}},
	{"tiny-direct", Options{Entries: 4, CQEntries: 4, Buffers: 2, BufferSize: 64, Holds: 1, Datagrams: 2, Plain: true, Direct: 64}},
	{"tiny-masked", Options{Entries: 4, CQEntries: 4, Buffers: 2, BufferSize: 64, Holds: 1, Datagrams: 2, Without: Features()}},
}

func onConfigs(t *testing.T, f func(t *testing.T, b *Backend)) {
	for _, c := range configs {
		t.Run(c.name, func(t *testing.T) {
			f(t, openTest(t, c.o))
		})
	}
}

// openTest opens a backend that belongs to the test's goroutine, and checks at
// the end that it closes in good order.
func openTest(t testing.TB, o Options) *Backend {
	t.Helper()
	if o.Direct > 0 {
		needDirect(t)
	}
	runtime.LockOSThread()
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error("close:", err)
		}
		runtime.UnlockOSThread()
	})
	return b
}

// until polls until done holds.
func until(t testing.TB, b *Backend, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(testenv.Patience()); !done(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s; %+v", testenv.Patience(), what, b.Stats())
		}
		if err := b.Poll(100 * time.Millisecond); err != nil {
			t.Fatal("poll:", err)
		}
	}
}

// A server echoes on a listener of a backend, as the C servers of this field
// do: it holds what it receives, and sends that, one at a time.
type server struct {
	b       *Backend
	accept  proactor.Op
	handle  proactor.Handle
	addr    string
	address proactor.Address
	peer    proactor.Address
	conns   map[proactor.Handle]*conn
	copies  bool // bytes are copied instead of held
	ended   int
}

type conn struct {
	s          *server
	h          proactor.Handle
	recv, send proactor.Op
	queue      []*proactor.Hold
	head       int
	pending    []byte // copies, sent before the queue
	out        []byte
	evicting   bool
	eof        bool
	err        error
}

func serve(t testing.TB, b *Backend) *server {
	t.Helper()
	s := &server{b: b, conns: map[proactor.Handle]*conn{}}
	h, addr, err := b.Listen(localhost, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.handle, s.address, s.addr = h, addr, addr.String()
	s.accept = proactor.Op{Kind: proactor.OpAccept, Handle: h, Owner: s, Addr: &s.peer}
	b.Submit(&s.accept)
	return s
}

func (s *server) Complete(op *proactor.Op) {
	if op.Err != nil {
		return
	}
	c := &conn{s: s, h: op.New}
	s.conns[c.h] = c
	c.recv = proactor.Op{Kind: proactor.OpRecv, Handle: c.h, Owner: c}
	c.send = proactor.Op{Kind: proactor.OpSend, Handle: c.h, Owner: c}
	s.b.Submit(&c.recv)
}

func (c *conn) Complete(op *proactor.Op) {
	if op == &c.send {
		c.sent()
		return
	}
	switch {
	case op.Err != nil:
		c.eof, c.err = true, op.Err
	case c.s.copies || len(c.pending) > 0:
		c.pending = append(c.pending, op.Buf...)
	default:
		c.queue = append(c.queue, c.s.b.Hold(op, c))
	}
	c.kick()
}

func (c *conn) kick() {
	if c.send.Active() {
		return
	}
	switch {
	case c.head < len(c.queue):
		c.send.Buf = c.queue[c.head].Bytes
	case len(c.pending) > 0:
		c.out, c.pending = append(c.out[:0], c.pending...), c.pending[:0]
		c.send.Buf = c.out
	default:
		if c.eof && !c.recv.Active() {
			c.close()
		}
		return
	}
	c.s.b.Submit(&c.send)
}

func (c *conn) sent() {
	if c.head < len(c.queue) && len(c.send.Buf) > 0 && &c.send.Buf[0] == &c.queue[c.head].Bytes[0] {
		h := c.queue[c.head]
		c.head++
		if c.send.N < len(h.Bytes) { // evicted half-way
			rest := append([]byte(nil), h.Bytes[c.send.N:]...)
			c.pending = append(rest, c.pending...)
		}
		h.Release()
	} else if c.send.N < len(c.send.Buf) {
		c.pending = append(append([]byte(nil), c.send.Buf[c.send.N:]...), c.pending...)
	}
	if c.head == len(c.queue) {
		c.queue, c.head, c.evicting = c.queue[:0], 0, false
	} else if c.evicting {
		c.copyRest()
	}
	if c.send.Err != nil && c.send.Err != proactor.ErrCanceled {
		c.err = c.send.Err
		c.pending = nil
		for ; c.head < len(c.queue); c.head++ {
			c.queue[c.head].Release()
		}
		c.s.b.Cancel(&c.recv)
		c.eof = true
	}
	c.kick()
}

// Evict copies everything that is held. The one that is being sent follows
// when the send has ended.
func (c *conn) Evict(*proactor.Hold) {
	c.evicting = true
	if c.send.Active() {
		c.s.b.Cancel(&c.send)
		return
	}
	c.copyRest()
}

func (c *conn) copyRest() {
	for ; c.head < len(c.queue); c.head++ {
		c.pending = append(c.pending, c.queue[c.head].Bytes...)
		c.queue[c.head].Release()
	}
	c.queue, c.head, c.evicting = c.queue[:0], 0, false
}

func (c *conn) close() {
	if c.s.b.CloseFD(c.h) == nil {
		delete(c.s.conns, c.h)
		c.s.ended++
	}
}

// ping sends total bytes in random pieces and checks that they come back.
func ping(addr string, seed uint64, total int) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	data := make([]byte, total)
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 7})
	_, _ = rng.Read(data)
	go func() {
		r := rand.New(rand.NewPCG(seed, 1))
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(1<<r.IntN(17)))
			if _, err := c.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, data) {
		return &mismatch{len(got), len(data), sha256.Sum256(got)}
	}
	return nil
}

type mismatch struct {
	got, want int
	sum       [32]byte
}

func (m *mismatch) Error() string { return "bytes came back changed" }

// background runs f on n goroutines and returns a function that tells when all
// have ended, and one error of theirs.
func background(b *Backend, n int, f func(i int) error) (done func() bool, result func() error) {
	var mu sync.Mutex
	var first error
	left := n
	for i := range n {
		go func() {
			err := f(i)
			mu.Lock()
			left--
			if err != nil && first == nil {
				first = err
			}
			mu.Unlock()
			b.Wake()
		}()
	}
	return func() bool { mu.Lock(); defer mu.Unlock(); return left == 0 },
		func() error { mu.Lock(); defer mu.Unlock(); return first }
}

func TestEchoByteExact(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		s := serve(t, b)
		most := 8 << 20
		if b.o.BufferSize > 0 || testing.Short() {
			most = 256 << 10
		}
		sizes := []int{1, 1 << 10, 3, 64 << 10, 100, most, 5000, most / 4}
		done, result := background(b, 16, func(i int) error { return ping(s.addr, uint64(i), sizes[i%len(sizes)]) })
		until(t, b, "16 echoes", func() bool { return done() && len(s.conns) == 0 })
		if err := result(); err != nil {
			t.Fatal(err)
		}
		if st := b.Stats(); st.Ops != 1 || st.Holds != 0 || st.Handles != 1 || st.Stale != 0 {
			t.Errorf("at the end: %+v", st)
		}
	})
}
