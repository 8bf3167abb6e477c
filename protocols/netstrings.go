package protocols

import (
	"fmt"
	"math"
	"strconv"
)

// Netstrings returns the framing of netstrings: the length in decimal digits,
// a colon, the message, a comma (D. J. Bernstein's specification of 1997). max
// is the longest message in bytes, 2 GiB less one at most; 0 means
// [DefaultMaxLength].
func Netstrings(max int) Framing {
	if max <= 0 {
		max = DefaultMaxLength
	}
	max = min(max, math.MaxInt32)
	return netstrings{max, len(strconv.Itoa(max))}
}

type netstrings struct{ max, digits int }

func (f netstrings) Split(p []byte, _ int) ([]byte, int, error) {
	n, at := 0, 0
	for ; at < len(p) && '0' <= p[at] && p[at] <= '9'; at++ {
		if at > 0 && p[0] == '0' {
			return nil, 0, fmt.Errorf("netstring whose length begins with 0: %w", ErrMalformed)
		}
		if at == f.digits {
			return nil, 0, fmt.Errorf("netstring with a length of more than %d digits: %w", f.digits, ErrTooLong)
		}
		n = n*10 + int(p[at]-'0')
	}
	switch {
	case n > f.max:
		return nil, 0, tooLong("netstring", uint64(n), f.max)
	case at == len(p):
		return nil, 0, nil
	case at == 0 || p[at] != ':':
		return nil, 0, fmt.Errorf("netstring with %q where its length or colon should be: %w", p[at], ErrMalformed)
	}
	end := at + 1 + n
	if len(p) <= end {
		return nil, 0, nil
	}
	if p[end] != ',' {
		return nil, 0, fmt.Errorf("netstring with %q in place of its comma: %w", p[end], ErrMalformed)
	}
	return p[at+1 : end], end + 1, nil
}

func (f netstrings) Append(dst, message []byte) ([]byte, error) {
	if len(message) > f.max {
		return dst, tooLong("netstring", uint64(len(message)), f.max)
	}
	dst = append(strconv.AppendInt(dst, int64(len(message)), 10), ':')
	return append(append(dst, message...), ','), nil
}
