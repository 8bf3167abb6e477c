//go:build linux

package epoll

import (
	"testing"
	"time"
)

// A Wake ends a look for events as it ends a wait.
func TestWakeEndsALook(t *testing.T) {
	b := opened(t, Options{Spin: time.Minute})
	if err := b.Poll(0); err != nil {
		t.Fatal(err)
	}
	go b.Wake()
	start := time.Now()
	if err := b.Poll(2 * time.Minute); err != nil || time.Since(start) > 40*time.Second {
		t.Errorf("it was woken, and Poll waits for %v (%v)", time.Since(start), err)
	}
}
