//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package mobius

// platform is how messages name the platform.
const platform = "this platform"

// candidates returns nothing: this platform needs Options.Open.
func candidates() []candidate { return nil }
