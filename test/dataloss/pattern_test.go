package dataloss

import "testing"

// The check itself sees a byte that is lost, doubled or swapped, wherever it is.
func TestDiffersSeesEveryMixUp(t *testing.T) {
	for _, from := range []int{0, 1, period - 1000, period + 500_000} {
		b := pattern(from, 3<<20)
		if i := differs(b, from); i >= 0 {
			t.Fatalf("the stream from %d differs from itself at %d", from, i)
		}
		if differs(b[1:], from) < 0 || differs(b, from+1) < 0 {
			t.Errorf("a byte less at %d goes unnoticed", from)
		}
		b[2_000_000] ^= 1
		if i := differs(b, from); i != 2_000_000 {
			t.Errorf("a changed byte goes unnoticed: %d", i)
		}
	}
}
