package stress

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"mobius"
	"mobius/proactor"
	"mobius/transport"
)

// Streams of 1 byte to 8 MiB go both ways at once over 200 connections; what
// comes back has the digest of what was sent.
func TestRandomSizesBothWays(t *testing.T) {
	each(t, func(s *site) {
		var e end
		port := s.listen(func() mobius.Protocol { return &echo{end: &e} }, mobius.ListenOptions{})
		n := max(s.amount(200), 20)
		s.together(n, 50, func(i int) error {
			rng := rand.New(rand.NewPCG(uint64(i), 6))
			return digests(port.Addr().String(), rng, s.amount(1+rng.IntN(1<<(3+i%21))))
		})
		e.all(s, int64(n))
	})
}

func digests(addr string, rng *rand.Rand, size int) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	sent := sha256.New()
	failed := make(chan error, 1)
	random := rand.NewChaCha8([32]byte{byte(size), byte(size >> 8)})
	go func() {
		p := make([]byte, 1+size/1000+rng.IntN(1<<rng.IntN(18)))
		for left := size; left > 0; {
			p = p[:min(len(p), left)]
			random.Read(p)
			sent.Write(p)
			if _, err := c.Write(p); err != nil {
				failed <- err
				return
			}
			left -= len(p)
		}
		failed <- c.CloseWrite()
	}()
	got := sha256.New()
	n, err := io.Copy(got, c)
	if werr := <-failed; werr != nil {
		return werr
	}
	if err != nil || n != int64(size) || !bytes.Equal(got.Sum(nil), sent.Sum(nil)) {
		return fmt.Errorf("%d of %d bytes, or others: %w", n, size, err)
	}
	return nil
}

// The same with the collector at work without a break, in a process of its own:
// once stopping the world all the while.
func TestUnderTheCollector(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, debug := range []string{"", "gcstoptheworld=1"} {
		cmd := exec.Command(exe, "-test.run=^TestRandomSizesBothWays$", "-test.short")
		cmd.Env = append(os.Environ(), "GOGC=1", "GODEBUG="+debug)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("GODEBUG=%s: %v\n%s", debug, err, out)
		}
	}
}

// A numberer writes numbers in small writes, from the callbacks that say that
// there is room.
type numberer struct {
	echo
	next, total uint32
	full        bool
}

func (p *numberer) ConnectionMade(t mobius.Transport) {
	p.echo.ConnectionMade(t)
	p.more()
}

func (p *numberer) PauseWriting()  { p.full = true }
func (p *numberer) ResumeWriting() { p.full = false; p.more() }

func (p *numberer) more() {
	var b [4]byte
	for ; !p.full && p.next < p.total; p.next++ {
		binary.BigEndian.PutUint32(b[:], p.next)
		if _, err := p.t.Write(b[:]); err != nil {
			return
		}
	}
	if p.next == p.total {
		p.t.LoseConnection()
	}
}

// 100,000 small writes to a slow reader arrive in order, and none is missing.
func TestSmallWritesKeepTheirOrder(t *testing.T) {
	each(t, func(s *site) {
		var e end
		n := s.amount(100_000)
		port := s.listen(func() mobius.Protocol { return &numberer{echo: echo{end: &e}, total: uint32(n)} }, mobius.ListenOptions{
			Transport: &transport.Options{HighWater: 4096, LowWater: 1024},
			Socket:    &proactor.SocketOptions{SendBuffer: 64 << 10},
		})
		c, err := dial(port.Addr().String())
		if err != nil {
			s.Fatal(err)
		}
		defer c.Close()
		if err := c.SetReadBuffer(32 << 10); err != nil {
			s.Fatal(err)
		}
		in := bufio.NewReaderSize(c, 512) // a little at a time
		var b [4]byte
		for i := range n {
			if _, err := io.ReadFull(in, b[:]); err != nil || binary.BigEndian.Uint32(b[:]) != uint32(i) {
				s.Fatalf("number %d is %d: %v", i, binary.BigEndian.Uint32(b[:]), err)
			}
		}
		if _, err := in.ReadByte(); err != io.EOF {
			s.Errorf("behind the last number: %v", err)
		}
		_ = c.Close()
		e.all(s, 1)
	})
}

// A toggler pauses and resumes at every turn of its loop.
type toggler struct {
	echo
	s       *site
	paused  bool
	toggles int
	total   int
	got     int
	bad     atomic.Int64
}

func (p *toggler) ConnectionMade(t mobius.Transport) {
	p.echo.ConnectionMade(t)
	p.toggle()
}

func (p *toggler) DataReceived(b []byte) {
	if p.paused {
		p.bad.Add(1)
	}
	p.got += len(b)
	p.echo.DataReceived(b)
	if p.got%3 == 0 && p.toggles < p.total { // in the middle of it
		p.paused = true
		p.t.PauseReading()
	}
}

func (p *toggler) toggle() {
	if p.toggles++; p.toggles >= p.total || p.off {
		p.paused = false
		p.t.ResumeReading()
		return
	}
	if p.paused = !p.paused; p.paused {
		p.t.PauseReading()
	} else {
		p.t.ResumeReading()
	}
	_ = p.t.Loop().Call(p.toggle)
}

// 10,000 pauses and resumes in the midst of traffic deliver nothing during a
// pause, and lose nothing.
func TestPausesLoseNothing(t *testing.T) {
	each(t, func(s *site) {
		var e end
		p := &toggler{echo: echo{end: &e}, s: s, total: max(s.amount(10_000), 1000)}
		port := s.listen(func() mobius.Protocol { return p }, mobius.ListenOptions{})
		if err := digests(port.Addr().String(), rand.New(rand.NewPCG(17, 0)), s.amount(8<<20)); err != nil {
			s.Fatal(err)
		}
		e.all(s, 1)
		if n := p.bad.Load(); n > 0 {
			s.Errorf("%d deliveries during a pause", n)
		}
	})
}

// Peers that are gone while much is being sent to them end their connection
// once, after the last of what they sent; no signal ends the process.
func TestPeersThatGoWhileBytesAreSent(t *testing.T) {
	each(t, func(s *site) {
		var e end
		port := s.listen(func() mobius.Protocol { return &echo{end: &e} }, mobius.ListenOptions{})
		n := max(s.amount(500), 20)
		big := make([]byte, 256<<10)
		s.together(n, 20, func(i int) error {
			c, err := dial(port.Addr().String())
			if err != nil {
				return err
			}
			defer c.Close()
			sent := make(chan struct{})
			go func() { defer close(sent); _, _ = c.Write(big) }() // what nobody reads stops it
			if _, err := io.ReadFull(c, make([]byte, 1+i*37%5000)); err != nil {
				return err
			}
			if i%2 == 0 {
				_ = c.SetLinger(0) // a reset
			}
			_ = c.Close()
			<-sent
			return nil
		})
		e.all(s, int64(n))
	})
}

// A closer closes as soon as something comes, while more is expected.
type closer struct{ echo }

func (p *closer) DataReceived([]byte) { p.t.LoseConnection() }

// The end of a stream is seen at once although a receive was waiting for more.
func TestCloseIsSeenAtOnce(t *testing.T) {
	each(t, func(s *site) {
		var e end
		port := s.listen(func() mobius.Protocol { return &closer{echo{end: &e}} }, mobius.ListenOptions{})
		var took []time.Duration
		for range 20 {
			c, err := dial(port.Addr().String())
			if err != nil {
				s.Fatal(err)
			}
			begin := time.Now()
			if _, err := c.Write([]byte("x")); err != nil {
				s.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				s.Errorf("read: %v", err)
			}
			took = append(took, time.Since(begin))
			_ = c.Close()
		}
		slices.Sort(took)
		if m := took[len(took)/2]; m > 50*time.Millisecond {
			s.Errorf("half of the ends came after %v, want 50 ms at most", m)
		}
		e.all(s, 20)
	})
}

// 100 quiet connections beside one that floods the loop have their answers in
// good time.
func TestQuietBesideAFlood(t *testing.T) {
	each(t, func(s *site) {
		var e end
		port := s.listen(func() mobius.Protocol { return &echo{end: &e} }, mobius.ListenOptions{})
		flood, err := dial(port.Addr().String())
		if err != nil {
			s.Fatal(err)
		}
		over := make(chan struct{})
		go func() { _, _ = io.Copy(io.Discard, flood) }()
		go func() {
			defer close(over)
			for p := make([]byte, 1<<20); ; {
				if _, err := flood.Write(p); err != nil {
					return
				}
			}
		}()
		times := make([]time.Duration, 100*10)
		s.together(100, 100, func(i int) error {
			c, err := dial(port.Addr().String())
			if err != nil {
				return err
			}
			defer c.Close()
			for k := range 10 {
				begin := time.Now()
				if err := says(c, []byte("quiet")); err != nil {
					return err
				}
				times[i*10+k] = time.Since(begin)
			}
			return nil
		})
		_ = flood.Close()
		<-over
		slices.Sort(times)
		s.Logf("median %v, 99 %% in %v", times[len(times)/2], times[len(times)*99/100])
		if p99 := times[len(times)*99/100]; p99 > 5*time.Second {
			s.Errorf("one answer in a hundred took more than %v", p99)
		}
		e.all(s, 101)
	})
}
