package twisted

import (
	"testing"
	"time"

	"mobius/policies"
)

func TestCase401Bucket(t *testing.T) {
	add := func(b *policies.Bucket, now time.Duration, n, want int) {
		t.Helper()
		if got := b.Add(now, n); got != want {
			t.Errorf("at %v: %d of %d bytes were taken, want %d", now, got, n, want)
		}
	}
	t.Run("size", func(t *testing.T) {
		b := &policies.Bucket{Size: 10}
		add(b, 0, 20, 10)
		add(b, 0, 5, 0)
		add(b, time.Hour, 5, 0) // it does not leak
		add(&policies.Bucket{}, 0, 1<<40, 1<<40)
	})
	t.Run("leak", func(t *testing.T) {
		b := &policies.Bucket{Size: 20, Rate: 10}
		add(b, 0, 20, 20)
		add(b, time.Second, 20, 10)
		add(b, 1500*time.Millisecond, 20, 5)
		add(b, 1500*time.Millisecond, 20, 0)
		add(b, time.Second, 20, 0) // time does not go back
		add(b, time.Hour, 30, 20)  // nor does it save more than its size
	})
	t.Run("empty", func(t *testing.T) {
		b := &policies.Bucket{Size: 20, Rate: 10}
		if !b.Empty(0) {
			t.Error("a new bucket is not empty")
		}
		add(b, 0, 15, 15)
		if b.Empty(time.Second) || b.Content(time.Second) != 5 {
			t.Errorf("after 1 s %d bytes are left, want 5", b.Content(time.Second))
		}
		if !b.Empty(1500 * time.Millisecond) {
			t.Error("it has leaked, and is not empty")
		}
	})
	t.Run("parent's size", func(t *testing.T) {
		parent := &policies.Bucket{Size: 15}
		a, b := &policies.Bucket{Size: 10, Parent: parent}, &policies.Bucket{Size: 10, Parent: parent}
		add(a, 0, 10, 10)
		add(b, 0, 10, 5)
		add(b, 0, 10, 0)
		if b.Content(0) != 5 || parent.Content(0) != 15 {
			t.Errorf("%d and %d bytes, want 5 and 15", b.Content(0), parent.Content(0))
		}
	})
	t.Run("parent's rate", func(t *testing.T) {
		parent := &policies.Bucket{Size: 15, Rate: 1}
		a := &policies.Bucket{Size: 10, Rate: 100, Parent: parent}
		add(a, 0, 10, 10)
		add(a, time.Second, 10, 6)
		add(a, 2*time.Second, 10, 1)
	})
}
