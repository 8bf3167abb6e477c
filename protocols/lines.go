package protocols

import (
	"bytes"
	"fmt"
)

// Lines returns the framing of lines that end with delimiter; "" means CR LF.
// max is the longest line in bytes, without its delimiter; 0 means
// [DefaultMaxLength].
func Lines(delimiter string, max int) Framing {
	if delimiter == "" {
		delimiter = "\r\n"
	}
	if max <= 0 {
		max = DefaultMaxLength
	}
	return lines{[]byte(delimiter), max}
}

type lines struct {
	delimiter []byte
	max       int
}

func (f lines) Split(p []byte, seen int) ([]byte, int, error) {
	from := max(0, min(seen, len(p))-len(f.delimiter)+1) // a delimiter may have been cut
	at := bytes.Index(p[from:], f.delimiter)
	if at >= 0 {
		at += from
		if at > f.max {
			return nil, 0, tooLong("line", uint64(at), f.max)
		}
		return p[:at], at + len(f.delimiter), nil
	}
	if len(p) > f.max+len(f.delimiter)-1 {
		return nil, 0, fmt.Errorf("line of more than %d bytes: %w", f.max, ErrTooLong)
	}
	return nil, 0, nil
}

func (f lines) Append(dst, line []byte) ([]byte, error) {
	if len(line) > f.max {
		return dst, tooLong("line", uint64(len(line)), f.max)
	}
	begin := len(dst)
	dst = append(append(dst, line...), f.delimiter...)
	if bytes.Index(dst[begin:], f.delimiter) != len(line) {
		return dst[:begin], fmt.Errorf("line with its delimiter %q inside: %w", f.delimiter, ErrMalformed)
	}
	return dst, nil
}
