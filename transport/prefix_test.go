package transport

import "testing"

type named struct{ Protocol }

func (named) LogPrefix() string { return "the name" }

type shy struct{ Protocol }

func (shy) LogPrefix() string { panic("no") }

type around struct{ x any }

func (a around) Unwrap() any { return a.x }

// A log prefix is found through wrappers, and always there.
func TestLogPrefix(t *testing.T) {
	for want, x := range map[string]any{
		"the name":       around{around{around{named{}}}},
		"transport.shy":  around{shy{}},
		"*transport.rec": around{around{&rec{}}},
	} {
		if got := LogPrefix(x); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
