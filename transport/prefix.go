package transport

import "fmt"

// A LogPrefixer names itself in what is logged of it: an ability of protocols
// and factories (Twisted's ILoggingContext).
type LogPrefixer interface {
	LogPrefix() string
}

// LogPrefix returns what a protocol or a factory is called in logs: what its
// LogPrefix says, or that of what it wraps, as [As] finds it; or else, or if it
// panics, the type of the innermost that it wraps.
func LogPrefix(x any) (name string) {
	defer func() {
		if recover() != nil { // it may be asked because of a panic: let that one be told
			name = typeName(x)
		}
	}()
	if p, ok := As[LogPrefixer](x); ok {
		return p.LogPrefix()
	}
	return typeName(x)
}

func typeName(x any) string {
	for {
		u, ok := x.(interface{ Unwrap() any })
		if !ok {
			return fmt.Sprintf("%T", x)
		}
		x = u.Unwrap()
	}
}

// String returns the protocol's log prefix and the two addresses.
func (c *Conn) String() string {
	return fmt.Sprintf("%s at %v with %v", LogPrefix(c.p), c.local, c.remote)
}
