//go:build !linux

package backendtest_test

// realBenches are those of real backends; there are none to build on here.
func realBenches() []bench { return nil }
