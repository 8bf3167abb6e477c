package policies

import (
	"math"
	"time"
)

// A Bucket is a token bucket that fills by what goes through it and leaks at
// Rate: it has room for a burst of Size bytes, and for no more than its Parent
// has. Many buckets may have one parent, as connections have a host. (Twisted:
// htb.Bucket.)
//
// A Bucket has no clock: now is the time of one loop, whose goroutine it is for.
type Bucket struct {
	Size   int     // how many bytes it holds; 0: no bound of its own
	Rate   int     // how many bytes leak per second; 0: none, if it has a Size
	Parent *Bucket // may be nil

	content float64
	at      time.Duration // until when content has leaked
}

// Content returns how many bytes the bucket holds, rounded up.
func (b *Bucket) Content(now time.Duration) int {
	b.leak(now)
	return int(math.Ceil(b.content))
}

// Add puts n bytes in, or as many as there is room for in the bucket and all
// above it, and returns how many that were.
func (b *Bucket) Add(now time.Duration, n int) int {
	n = min(n, b.room(now))
	for a := b; a != nil; a = a.Parent {
		a.content += float64(n)
	}
	return n
}

// Fill puts all of n bytes in, as what has come already: a bucket that has no
// room for them holds more than its Size, until enough has leaked. See
// [Bucket.Over].
func (b *Bucket) Fill(now time.Duration, n int) {
	for a := b; a != nil; a = a.Parent {
		a.leak(now)
		a.content += float64(n)
	}
}

// Over returns how long it takes until neither the bucket nor one above it
// holds more than its Size, if nothing is put in meanwhile: 0 if none does now,
// and the longest Duration if one that does has no Rate.
func (b *Bucket) Over(now time.Duration) time.Duration {
	var longest time.Duration
	for a := b; a != nil; a = a.Parent {
		a.leak(now)
		longest = max(longest, a.over())
	}
	return longest
}

// over is Over of b alone. Less than a byte is none.
func (b *Bucket) over() time.Duration {
	excess := b.content - float64(b.Size)
	if b.Size <= 0 || excess < 1 {
		return 0
	}
	d := math.Ceil(excess / float64(max(b.Rate, 0)) * float64(time.Second))
	if d >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(d)
}

// Empty reports whether everything has leaked.
func (b *Bucket) Empty(now time.Duration) bool { return b.Content(now) == 0 }

func (b *Bucket) room(now time.Duration) int {
	least := math.MaxInt
	for a := b; a != nil; a = a.Parent {
		a.leak(now)
		if a.Size > 0 {
			least = min(least, max(int(float64(a.Size)-a.content), 0))
		}
	}
	return least
}

func (b *Bucket) leak(now time.Duration) {
	if now <= b.at {
		return
	}
	b.content = max(b.content-float64(b.Rate)*(now-b.at).Seconds(), 0)
	b.at = now
}
