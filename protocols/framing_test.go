package protocols

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// framings are those under test, each with a limit of limit bytes.
const limit = 300

func framings() map[string]Framing {
	return map[string]Framing{
		"lines":      Lines("", limit),
		"bare lines": Lines("\n", limit),
		"aab":        Lines("aab", limit),
		"int8":       Prefixed(1, limit),
		"int16":      Prefixed(2, limit),
		"int32":      Prefixed(4, limit),
		"netstrings": Netstrings(limit),
	}
}

// split cuts stream into messages, given to Split in pieces of sizes drawn by
// r, until an error or the end. rest is what no message was made of.
func split(f Framing, stream []byte, r *rand.Rand) (got [][]byte, rest []byte, err error) {
	var have []byte
	seen := 0
	for len(stream) > 0 {
		n := 1 + r.IntN(min(len(stream), 1+r.IntN(64)))
		have, stream = append(have, stream[:n]...), stream[n:]
		for len(have) > 0 {
			frame, n, err := f.Split(have, seen)
			if err != nil {
				return got, have, err
			}
			if n == 0 {
				seen = len(have)
				break
			}
			seen = 0
			got = append(got, bytes.Clone(frame))
			have = have[n:]
		}
	}
	return got, have, nil
}

func TestFramingsGiveBackWhatTheyWereGiven(t *testing.T) {
	for name, f := range framings() {
		for seed := range uint64(200) {
			r := rand.New(rand.NewPCG(seed, 1))
			var stream []byte
			var want [][]byte
			for range 20 {
				m := make([]byte, r.IntN(256))
				for i := range m {
					m[i] = "ab\r\n,:0"[r.IntN(7)]
				}
				out, err := f.Append(stream, m)
				if err != nil {
					if !errors.Is(err, ErrMalformed) || !bytes.Equal(out, stream) {
						t.Fatalf("%s, seed %d: Append of %q: %v", name, seed, m, err)
					}
					continue
				}
				stream, want = out, append(want, m)
			}
			got, rest, err := split(f, stream, r)
			if err != nil || len(rest) > 0 || len(got) != len(want) {
				t.Fatalf("%s, seed %d: %d messages of %d, rest %q, %v", name, seed, len(got), len(want), rest, err)
			}
			for i := range got {
				if !bytes.Equal(got[i], want[i]) {
					t.Fatalf("%s, seed %d: message %d is %q, want %q", name, seed, i, got[i], want[i])
				}
			}
		}
	}
}

func TestLimits(t *testing.T) {
	for name, f := range framings() {
		longest := limit
		if name == "int8" {
			longest = 255
		}
		stream, err := f.Append(nil, []byte(strings.Repeat("x", longest)))
		if err != nil {
			t.Errorf("%s: Append of the longest: %v", name, err)
		}
		if frame, n, err := f.Split(stream, 0); err != nil || n != len(stream) || len(frame) != longest {
			t.Errorf("%s: Split of the longest: %d bytes, %v", name, len(frame), err)
		}
		if out, err := f.Append(nil, make([]byte, longest+1)); !errors.Is(err, ErrTooLong) || len(out) > 0 {
			t.Errorf("%s: Append of one byte too many: %v", name, err)
		}
	}
	for _, f := range []Framing{Lines("", limit), Lines("\n", limit)} { // one byte short of an end is no error yet
		p := []byte(strings.Repeat("x", limit) + "\r")[:limit+len(f.(lines).delimiter)-1]
		if _, n, err := f.Split(p, 0); n != 0 || err != nil {
			t.Errorf("the longest line without the end of its delimiter: %v", err)
		}
		if _, _, err := f.Split(append(p, 'x'), 0); !errors.Is(err, ErrTooLong) {
			t.Errorf("a line too long without an end: %v", err)
		}
	}
}

// A delimiter that was cut anywhere is found, by a Split that has seen the
// first part.
func TestDelimiterInPieces(t *testing.T) {
	f := Lines("aab", limit)
	stream := []byte("aaaab")
	for cut := 1; cut < len(stream); cut++ {
		if _, n, err := f.Split(stream[:cut], 0); n != 0 || err != nil {
			t.Fatalf("a line of %q: %d, %v", stream[:cut], n, err)
		}
		if frame, n, err := f.Split(stream, cut); n != 5 || string(frame) != "aa" || err != nil {
			t.Errorf("cut at %d: %q, %d, %v", cut, frame, n, err)
		}
	}
}

// Whatever a peer sends, cutting it in other pieces changes nothing, and what
// comes out goes in again.
func FuzzFraming(f *testing.F) {
	for _, seed := range []string{"a\r\nb", "\x00\x03abc", "3:abc,", "0:,0:,", "00:,", "99999999999999999999:", "\xff\xff\xff\xff"} {
		f.Add([]byte(seed), uint64(1))
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		if len(stream) > 8*limit { // says nothing new, and to make it shorter takes the fuzzer longer than all the rest
			return
		}
		for name, framing := range framings() {
			a, restA, errA := split(framing, stream, rand.New(rand.NewPCG(seed, 1)))
			b, restB, errB := split(framing, stream, rand.New(rand.NewPCG(seed, 2)))
			if len(a) != len(b) || (errA == nil) != (errB == nil) || errA == nil && !bytes.Equal(restA, restB) {
				t.Fatalf("%s: %d messages and %v, or %d and %v", name, len(a), errA, len(b), errB)
			}
			for i := range a {
				if !bytes.Equal(a[i], b[i]) {
					t.Fatalf("%s: message %d is %q or %q", name, i, a[i], b[i])
				}
				again, err := framing.Append(nil, a[i])
				if err != nil {
					t.Fatalf("%s: a message that came in does not go out: %v", name, err)
				}
				if frame, n, err := framing.Split(again, 0); err != nil || n != len(again) || !bytes.Equal(frame, a[i]) {
					t.Fatalf("%s: %q went out as %q", name, a[i], again)
				}
			}
		}
	})
}
