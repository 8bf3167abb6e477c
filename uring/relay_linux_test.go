//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A proxy relays what it accepts to one address, both ways.
type proxy struct {
	b       *Backend
	accept  proactor.Op
	to      proactor.Address
	address proactor.Address
	live    int
	ended   int
	failed  []error
	options *proactor.SocketOptions
}

type session struct {
	p           *proxy
	a, z        proactor.Handle
	connect     proactor.Op
	there, back proactor.Op
	x, y        proactor.Relay
}

func relayTo(t testing.TB, b *Backend, to proactor.Address) *proxy {
	t.Helper()
	h, addr, err := b.Listen(localhost, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{b: b, to: to, address: addr}
	p.accept = proactor.Op{Kind: proactor.OpAccept, Handle: h, Owner: p}
	b.Submit(&p.accept)
	return p
}

func (p *proxy) Complete(op *proactor.Op) {
	if op.Err != nil {
		return
	}
	s := &session{p: p, a: op.New}
	var err error
	if s.z, err = p.b.Stream(p.to, p.options); err != nil {
		p.failed = append(p.failed, err)
		return
	}
	p.live++
	s.connect = proactor.Op{Kind: proactor.OpConnect, Handle: s.z, Owner: s, Addr: &p.to}
	p.b.Submit(&s.connect)
}

func (s *session) Complete(op *proactor.Op) {
	b := s.p.b
	if op == &s.connect {
		if op.Err != nil {
			s.p.failed = append(s.p.failed, op.Err)
			return
		}
		s.x.Dst, s.y.Dst = s.z, s.a
		s.there = proactor.Op{Kind: proactor.OpRelay, Handle: s.a, Owner: s, Relay: &s.x}
		s.back = proactor.Op{Kind: proactor.OpRelay, Handle: s.z, Owner: s, Relay: &s.y}
		b.Submit(&s.there)
		b.Submit(&s.back)
		return
	}
	if op.Err == io.EOF {
		_ = b.Shutdown(op.Relay.Dst)
	} else {
		s.p.failed = append(s.p.failed, op.Err)
		b.Cancel(&s.there)
		b.Cancel(&s.back)
	}
	if !s.there.Active() && !s.back.Active() {
		_ = b.CloseFD(s.a)
		_ = b.CloseFD(s.z)
		s.p.live--
		s.p.ended++
	}
}

func TestRelayByteExact(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		s := serve(t, b)
		p := relayTo(t, b, s.address)
		most := 8 << 20
		if b.o.BufferSize > 0 || testing.Short() {
			most = 128 << 10
		}
		sizes := []int{1, 1 << 10, 64 << 10, most, most / 3, 0, 77}
		done, result := background(b, 14, func(i int) error { return ping(p.address.String(), uint64(i), sizes[i%len(sizes)]) })
		until(t, b, "14 echoes through a relay", func() bool { return done() && p.live == 0 && len(s.conns) == 0 })
		if err := result(); err != nil {
			t.Fatal(err)
		}
		st := b.Stats()
		if len(p.failed) != 0 || st.Ops != 2 || st.Holds != 0 || st.Handles != 2 {
			t.Errorf("failed %v, %+v", p.failed, st)
		}
		if spliced := st.Spliced > 0; b.o.BufferSize == 0 && !testing.Short() && spliced != (b.choice.splice && b.o.Direct == 0) {
			t.Errorf("spliced %v, choice %v: %+v", spliced, b.choice.splice, st)
		}
	})
}

// Pipes are of bulk flows only, and only while bytes are in them.
func TestRelayGivesPipesBack(t *testing.T) {
	b := openTest(t, Options{Pipes: 2})
	s := serve(t, b)
	p := relayTo(t, b, s.address)
	most := 0
	// What a flow's pieces are like depends on how the threads of its two ends
	// are scheduled: if none was bulk, others follow.
	for round := uint64(0); round < 50 && b.Stats().Spliced == 0; round++ {
		done, result := background(b, 8, func(i int) error { return ping(p.address.String(), 8*round+uint64(i), 4<<20) })
		until(t, b, "8 bulk flows with two pipes", func() bool {
			most = max(most, b.Stats().Pipes)
			return done() && p.live == 0
		})
		if err := result(); err != nil {
			t.Fatal(err)
		}
	}
	st := b.Stats()
	if most > 2 || st.Spliced == 0 || len(b.pipes2()) != 0 {
		t.Errorf("%d pipes at most, want 2; %+v", most, st)
	}
}

// pipes2 returns the relays that have a pipe.
func (b *Backend) pipes2() (out []*relay) {
	b.slots.each(func(s *slot) {
		if r := s.relay; r != nil && r.pipe != nil && s.op != nil {
			out = append(out, r)
		}
	})
	return out
}

// A relay from and to what is no socket.
func TestRelayOfPipes(t *testing.T) {
	for _, c := range configs[:4] {
		t.Run(c.name, func(t *testing.T) {
			b := openTest(t, c.o)
			ir, iw, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			or, ow, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			from, to := adopt(t, b, ir), adopt(t, b, ow)
			want := pattern(1 << 20)
			go func() { _, _ = iw.Write(want); _ = iw.Close() }()
			got := make(chan []byte, 1)
			go func() { p, _ := io.ReadAll(or); got <- p }()
			d := &denied{}
			d.op = proactor.Op{Kind: proactor.OpRelay, Handle: from, Owner: d, Relay: &proactor.Relay{Dst: to, Head: []byte("head")}}
			b.Submit(&d.op)
			until(t, b, "a relay of pipes ends", func() bool { return d.err != nil })
			if d.err != io.EOF || d.op.Relay.Moved.Load() != int64(len(want)+4) {
				t.Errorf("it ends with %v after %d", d.err, d.op.Relay.Moved.Load())
			}
			_ = b.CloseFD(to)
			if p := <-got; !bytes.Equal(p, append([]byte("head"), want...)) {
				t.Errorf("%d bytes arrive changed", len(p))
			}
		})
	}
}

// adopt gives a copy of f's descriptor to b, and closes f.
func adopt(t *testing.T, b *Backend, f *os.File) proactor.Handle {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	h, err := b.Adopt(fd)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// passByte sends a byte from one end of a relay to the other.
func passByte(from, to net.Conn) error {
	if _, err := from.Write([]byte{1}); err != nil {
		return err
	}
	_, err := to.Read(make([]byte, 1))
	return err
}

func TestRelaySaysWhichSideFailed(t *testing.T) {
	b := openTest(t, Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := relayTo(t, b, proactor.FromNetAddr(l.Addr()))
	done, result := background(b, 1, func(int) error {
		c, err := net.Dial("tcp", p.address.String())
		if err != nil {
			return err
		}
		defer c.Close()
		u, err := l.Accept()
		if err != nil {
			return err
		}
		if err := passByte(c, u); err != nil { // or the reset may meet the connect
			return err
		}
		_ = u.(*net.TCPConn).SetLinger(0)
		_ = u.Close()
		_, err = c.Read(make([]byte, 1))
		if err == nil {
			return errors.New("read succeeds")
		}
		return nil
	})
	until(t, b, "the session ends", func() bool { return p.ended == 1 && done() })
	if err := result(); err != nil {
		t.Fatal(err)
	}
	if len(p.failed) == 0 || !errors.Is(p.failed[0], unix.ECONNRESET) {
		t.Errorf("relays end with %v", p.failed)
	}
}
