package testenv

import (
	"net"
	"testing"
)

// Multicaster returns the name of an interface for IPv6 groups: most loopbacks
// are none. Without one the test is [Missing] it.
func Multicaster(tb testing.TB) string {
	tb.Helper()
	all, err := net.Interfaces()
	if err != nil {
		tb.Fatal(err)
	}
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagMulticast != 0 {
			return i.Name
		}
	}
	Missing(tb, "no interface for IPv6 multicasts")
	return ""
}
