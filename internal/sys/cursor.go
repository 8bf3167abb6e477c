package sys

import "mobius/proactor"

// A Cursor is how far a Send has come: the next byte to be sent, and how many
// there are from it on. Without one each write of a Send of many pieces would
// look at all of them.
type Cursor struct {
	piece int // 0 is op.Buf, n is op.Bufs[n-1]
	off   int // in the piece
	left  int
}

// Start sets c to the beginning of op.
func (c *Cursor) Start(op *proactor.Op) { *c = Cursor{left: op.Remaining()} }

// Left returns how many bytes are still to be sent.
func (c *Cursor) Left() int { return c.left }

// next returns what is left of the first piece that is not empty. There must
// be a byte left.
func (c *Cursor) next(op *proactor.Op) []byte {
	for {
		if p := pieceOf(op, c.piece); c.off < len(p) {
			return p[c.off:]
		}
		c.piece++
		c.off = 0
	}
}

// Advance moves c by n bytes, of at most what is left.
func (c *Cursor) Advance(op *proactor.Op, n int) {
	c.left -= n
	for n > 0 {
		p := c.next(op)
		if n < len(p) {
			c.off += n
			return
		}
		n -= len(p)
		c.piece++
		c.off = 0
	}
}

// pieceOf returns a piece of op by its number.
func pieceOf(op *proactor.Op, i int) []byte {
	if i == 0 {
		return op.Buf
	}
	return op.Bufs[i-1]
}
