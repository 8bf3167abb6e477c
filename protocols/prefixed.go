package protocols

import "fmt"

// Prefixed returns the framing of messages that stand behind their length, an
// unsigned big-endian number of size bytes: 1, 2 or 4; it panics on others.
// max is the longest message in bytes; 0 means [DefaultMaxLength], and no
// more than the prefix can say.
func Prefixed(size, max int) Framing {
	if size != 1 && size != 2 && size != 4 {
		panic(fmt.Sprintf("protocols: a length of %d bytes: want 1, 2 or 4", size))
	}
	if max <= 0 {
		max = DefaultMaxLength
	}
	return prefixed{size, min(uint64(max), 1<<(8*size)-1)}
}

type prefixed struct {
	size int
	max  uint64
}

func (f prefixed) Split(p []byte, _ int) ([]byte, int, error) {
	if len(p) < f.size {
		return nil, 0, nil
	}
	var n uint64
	for _, b := range p[:f.size] {
		n = n<<8 | uint64(b)
	}
	if n > f.max {
		return nil, 0, tooLong("message", n, int(f.max))
	}
	end := f.size + int(n)
	if len(p) < end {
		return nil, 0, nil
	}
	return p[f.size:end], end, nil
}

func (f prefixed) Append(dst, message []byte) ([]byte, error) {
	n := uint64(len(message))
	if n > f.max {
		return dst, tooLong("message", n, int(f.max))
	}
	for i := f.size - 1; i >= 0; i-- {
		dst = append(dst, byte(n>>(8*i)))
	}
	return append(dst, message...), nil
}
