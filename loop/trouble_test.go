package loop

import (
	"errors"
	"testing"
	"time"
)

func TestTroubleInWords(t *testing.T) {
	for want, x := range map[string]Trouble{
		"panic in a timer: boom":                                {Kind: Panicked, Phase: Timers, Value: "boom"},
		"runtime.Goexit in a posted call: the loop ends":        {Kind: Goexited, Phase: Calls},
		"a callback has been running for 2s":                    {Kind: Slow, Value: 2 * time.Second},
		"3 operations had not ended when the loop stopped":      {Kind: Abandoned, Phase: Stops, Value: 3},
		"a listener rests: no descriptors":                      {Kind: AcceptFailed, Value: errors.New("no descriptors")},
		"trouble 99 in a flush: something that nobody knows of": {Kind: 99, Phase: Flushes, Value: "something that nobody knows of"},
	} {
		if got := x.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What a loop's packages share is made once per loop and key.
func TestLocal(t *testing.T) {
	l, _ := setup(t, Options{Name: "x"})
	other, _ := setup(t, Options{})
	type key struct{}
	made := 0
	fresh := func() any { made++; return made }
	if a, b := l.Local(key{}, fresh), l.Local(key{}, fresh); a != 1 || b != 1 {
		t.Errorf("values %v and %v, want one", a, b)
	}
	if other.Local(key{}, fresh) != 2 || l.Name() != "x" {
		t.Error("two loops share a value")
	}
}
