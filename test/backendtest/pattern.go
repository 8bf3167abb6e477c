package backendtest

import "encoding/binary"

// A stream's bytes are made of a seed and of where they stand, so that a
// reader that knows the seed recognises lost, repeated, swapped and foreign
// bytes at once, without keeping a copy of what was sent.

// word returns the i-th eight bytes of a seed's stream (splitmix64).
func word(seed uint64, i int64) uint64 {
	z := seed + (uint64(i)+1)*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// fill writes into p the bytes of seed's stream from offset off on.
func fill(seed uint64, off int64, p []byte) {
	var b [8]byte
	for len(p) > 0 {
		i, skip := off/8, int(off%8)
		if skip == 0 && len(p) >= 8 {
			binary.LittleEndian.PutUint64(p, word(seed, i))
			p, off = p[8:], off+8
			continue
		}
		binary.LittleEndian.PutUint64(b[:], word(seed, i))
		n := copy(p, b[skip:])
		p, off = p[n:], off+int64(n)
	}
}

// made returns n bytes of seed's stream from offset off on.
func made(seed uint64, off int64, n int) []byte {
	p := make([]byte, n)
	fill(seed, off, p)
	return p
}

// mismatch returns the index of the first byte of p that is not what stands
// at its place in seed's stream, or -1.
func mismatch(seed uint64, off int64, p []byte) int {
	var b [8]byte
	for at := 0; at < len(p); {
		i, skip := (off+int64(at))/8, int((off+int64(at))%8)
		binary.LittleEndian.PutUint64(b[:], word(seed, i))
		for _, want := range b[skip:] {
			if at == len(p) {
				break
			}
			if p[at] != want {
				return at
			}
			at++
		}
	}
	return -1
}
