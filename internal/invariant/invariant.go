// Package invariant holds checks that cost nothing in a release build.
//
// [Enabled] is a constant: true under the build tags race and invariants, so
// a check behind it is compiled away everywhere else. A check must only
// observe; it never changes what the program does.
package invariant

import "fmt"

// Assert panics with the formatted message if ok is false and checks are
// compiled in. Callers on a hot path guard it with [Enabled], so that the
// arguments cost nothing either.
func Assert(ok bool, format string, args ...any) {
	if Enabled && !ok {
		panic("invariant: " + fmt.Sprintf(format, args...))
	}
}

// Scribble overwrites p when checks are compiled in. Backends call it on lent
// memory that has just been taken back: whoever kept it reads 0xDB.
func Scribble(p []byte) {
	if !Enabled {
		return
	}
	for i := range p {
		p[i] = 0xDB
	}
}
