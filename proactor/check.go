package proactor

import (
	"fmt"
	"math"
	"time"
)

// Bounds of options: those of tcp(7), listen(2), chmod(2), and what a C int
// holds.
const (
	maxKeepAlive      = 32767 * time.Second
	maxKeepAliveCount = 127
	maxUserTimeout    = math.MaxInt32 * time.Millisecond
	maxMode           = 0o777
)

// Check returns an error if a value of o can mean nothing on any system: it
// names the field, and says what would do. o may be nil.
func (o *SocketOptions) Check() error {
	if o == nil {
		return nil
	}
	for _, n := range []struct {
		name       string
		value, max int
	}{
		{"Backlog", o.Backlog, math.MaxInt32}, {"Mode", int(o.Mode), maxMode}, {"TTL", o.TTL, 255},
		{"KeepAliveCount", o.KeepAliveCount, maxKeepAliveCount}, {"NotSentLowat", o.NotSentLowat, math.MaxInt32},
		{"SendBuffer", o.SendBuffer, math.MaxInt32}, {"RecvBuffer", o.RecvBuffer, math.MaxInt32},
	} {
		switch {
		case n.name == "Mode" && n.value > n.max:
			return fmt.Errorf("socket option Mode is %o, want permission bits, 0 to %o", n.value, n.max)
		case n.value < 0 || n.value > n.max:
			return fmt.Errorf("socket option %s is %d, want 0 to %d", n.name, n.value, n.max)
		}
	}
	for _, d := range []struct {
		name     string
		value    time.Duration
		negative bool // means something
		max      time.Duration
	}{
		{"KeepAlive", o.KeepAlive, true, maxKeepAlive}, {"KeepAliveInterval", o.KeepAliveInterval, false, maxKeepAlive},
		{"UserTimeout", o.UserTimeout, false, maxUserTimeout},
	} {
		if d.value > d.max || d.value < 0 && !d.negative {
			return fmt.Errorf("socket option %s is %v, want at most %v, and not less than 0", d.name, d.value, d.max)
		}
	}
	return nil
}
