package load

import "bytes"

// chunk is how many bytes of a pattern lie one after another from anywhere on,
// and so the most that one system call moves.
const chunk = 256 << 10

// A pattern is what connections send: bytes that look random, no two
// neighbours alike, again and again. Each connection begins elsewhere in it.
// Whatever is dropped, doubled or swapped, also with another connection's,
// differs from what was expected.
type pattern struct {
	period int
	bytes  []byte // period and chunk of them
}

// The periods are primes, so that no size of a message divides them; the short
// one fits a processor's cache.
const (
	shortPeriod = 65_537
	longPeriod  = 1_048_583
)

func newPattern(size int) *pattern {
	p := &pattern{period: shortPeriod}
	if size > 16<<10 {
		p.period = longPeriod
	}
	p.bytes = make([]byte, p.period+chunk)
	x := uint64(0x9e3779b97f4a7c15)
	last := byte(0)
	for i := range p.period {
		x ^= x << 13 // xorshift64, Marsaglia 2003
		x ^= x >> 7
		x ^= x << 17
		b := byte(x >> 32)
		if b == last || i == p.period-1 && b == p.bytes[0] {
			b += 101
		}
		p.bytes[i], last = b, b
	}
	for i := p.period; i < len(p.bytes); i++ {
		p.bytes[i] = p.bytes[i-p.period]
	}
	return p
}

// start returns where connection i begins.
func (p *pattern) start(i int) uint64 { return uint64(i) * 7919 % uint64(p.period) }

// at returns the next bytes from pos on, as many as there are in one piece, at most n.
func (p *pattern) at(pos uint64, n uint64) []byte {
	off := pos % uint64(p.period)
	return p.bytes[off : off+min(n, chunk)]
}

// wrong returns how many of got's bytes are not those from pos on.
func (p *pattern) wrong(got []byte, pos uint64) (n uint64) {
	for len(got) > 0 {
		want := p.at(pos, uint64(len(got)))
		part := got[:len(want)]
		if !bytes.Equal(part, want) {
			for i := range part {
				if part[i] != want[i] {
					n++
				}
			}
		}
		got, pos = got[len(part):], pos+uint64(len(part))
	}
	return n
}
