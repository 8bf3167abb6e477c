//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"

	"mobius/proactor"
)

// Through a network card the kernel makes no copy, and says so; memory comes
// back when the peer has acknowledged, and all bytes arrive although it is spoilt then.
// test/guest/run --nic has such a card, and an echo server beyond it.
func TestZeroCopyThroughACard(t *testing.T) {
	at := os.Getenv("MOBIUS_ECHO")
	if at == "" {
		t.Skip("MOBIUS_ECHO does not name an echo server beyond a network card: test/guest/run --nic does")
	}
	needZeroCopy(t)
	const size, sends = 64 << 10, 256
	arena := make([]byte, 16*size)
	b := openTest(t, Options{ZeroCopy: 16 << 10, Memory: [][]byte{arena}})
	to, err := netip.ParseAddrPort(at)
	if err != nil {
		t.Fatal(err)
	}
	peer := proactor.IPAddress(proactor.TCP, to.Addr(), to.Port())
	h, err := b.Stream(peer, nil)
	if err != nil {
		t.Fatal(err)
	}
	dial := start(b, proactor.Op{Kind: proactor.OpConnect, Handle: h, Addr: &peer})
	until(t, b, "it connects", func() bool { return dial.n > 0 })
	if dial.last.Err != nil {
		t.Fatal(dial.last.Err)
	}
	in := &collector{}
	in.op = proactor.Op{Kind: proactor.OpRecv, Handle: h, Owner: in}
	b.Submit(&in.op)
	rng := rand.New(rand.NewPCG(1, 2))
	var want []byte
	all := make([]*lender, sends)
	for i := range all {
		p := arena[i%16*size:][:size]
		if i >= 16 {
			until(t, b, "the memory is given back", func() bool { return all[i-16].released > 0 })
		}
		for j := range p {
			p[j] = byte(rng.Uint32())
		}
		want = append(want, p...)
		all[i] = newLender(t, h, p)
		b.Submit(&all[i].op)
		until(t, b, "it is sent", func() bool { return all[i].ended > 0 })
	}
	until(t, b, "all has come back", func() bool { return len(in.got) >= len(want) && b.Stats().Pins == 0 })
	if !bytes.Equal(in.got, want) {
		t.Error("bytes have changed")
	}
	s := b.Stats()
	t.Logf("%d sends of %d bytes without a copy, %d copied; switched off: %d", s.ZeroCopied, size, s.Copied, s.ZeroCopyOff)
	if s.ZeroCopied == 0 || s.ZeroCopyOff != 0 {
		t.Error("the kernel has copied")
	}
}

// A collector keeps what it receives.
type collector struct {
	op  proactor.Op
	got []byte
}

func (c *collector) Complete(op *proactor.Op) {
	if op.Err != nil && op.Err != io.EOF {
		panic(op.Err)
	}
	c.got = append(c.got, op.Buf...)
}
