//go:build linux && (amd64 || arm64)

package uring

import (
	"io"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// touched returns how many buffers of a pool have ever had bytes in them.
func touched(p *pool) (n int) {
	for i := range p.buffers {
		if slices.Max(p.memory[i*p.size:][:64]) > 0 {
			n++
		}
	}
	return n
}

// However much flows, the bytes go through the same few buffers.
func TestOneFlowTouchesFewBuffers(t *testing.T) {
	for _, o := range []Options{{}, {Without: []Feature{Incremental}}} {
		b := openTest(t, o)
		s := serve(t, b)
		fd := rawDial(t, s.address)
		if err := unix.SetNonblock(fd, false); err != nil {
			t.Fatal(err)
		}
		done, result := background(b, 1, func(int) error {
			if message := pattern(64 << 10); !pingRaw(fd, message, make([]byte, len(message)), 512) {
				return io.ErrUnexpectedEOF
			}
			return nil
		})
		until(t, b, "32 MiB are echoed", done)
		if err := result(); err != nil {
			t.Fatal(err)
		}
		for _, p := range b.pools {
			if n := touched(p); n > len(p.buffers)/2 {
				t.Errorf("%v: %d of %d buffers of %d bytes have been used", o.Without, n, len(p.buffers), p.size)
			}
		}
	}
}

// A burst that needs more buffers than the kernel has gets them; later they are
// spare again.
func TestABurstGetsTheBuffersItNeeds(t *testing.T) {
	b := openTest(t, Options{Without: []Feature{Incremental}, Buffers: 64, BufferSize: 4096})
	p, k := b.pools[0], &miser{b: b}
	l := listenFor(t, b, k)
	if p.want != 8 {
		t.Fatalf("the kernel has %d buffers at first, want an eighth of 64", p.want)
	}
	var fds []int
	for range 10 {
		fds = append(fds, rawDial(t, l))
	}
	until(t, b, "10 streams are accepted", func() bool { return k.n == 10 })
	for _, fd := range fds {
		if n, err := unix.Write(fd, pattern(4*4096)); n != 4*4096 {
			t.Fatal(n, err)
		}
	}
	until(t, b, "all is held", func() bool { return k.got == 10*4*4096 })
	if p.want <= 8 || b.Stats().Starved == 0 {
		t.Errorf("the kernel has %d buffers after a burst of 40; %+v", p.want, b.Stats())
	}
	for _, h := range k.take() {
		h.Release()
	}
	until(t, b, "what is not needed is spare", func() bool { b.Wake(); return p.want == 8 })
	k.generous = true
	done, _ := background(b, 1, func(int) error { _, err := unix.Write(fds[0], pattern(100)); return err })
	until(t, b, "it goes on", func() bool { return done() && k.got == 10*4*4096+100 })
	until(t, b, "nothing is lent", func() bool { b.Wake(); return b.Stats().Lent == 0 })
}
