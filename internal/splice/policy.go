package splice

// A Policy decides, from how much a relay finds to read at a time, whether it
// copies or splices. Splicing costs two system calls and some page handling
// per piece, but nothing per byte: at 16 KiB both cost the same, at 32 KiB
// splicing a fifth less, at 64 KiB a third (bench/RESULTS.md; on loopback the peers pay for a
// part of that, since pages that are on their way to somebody else cannot be
// used again). The zero value copies.
type Policy struct {
	score int8
	bulk  bool
}

// What counts as a large piece, and how many more large pieces than others
// make a relay bulk. Pieces in between change nothing.
const (
	largePiece = 32 << 10
	smallPiece = 16 << 10
	enough     = 3
)

// Bulk reports whether to splice.
func (p *Policy) Bulk() bool { return p.bulk }

// Saw notes a piece of n bytes.
func (p *Policy) Saw(n int) {
	switch {
	case n >= largePiece && p.score < enough:
		p.score++
	case n < smallPiece && p.score > 0:
		p.score--
	}
	if p.score == enough {
		p.bulk = true
	} else if p.score == 0 {
		p.bulk = false
	}
}

// Refused notes that no pipe was to be had, or that a descriptor cannot be
// spliced: the relay copies until it has earned a pipe again.
func (p *Policy) Refused() { *p = Policy{score: -100} }
