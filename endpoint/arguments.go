package endpoint

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"mobius"
	"mobius/proactor"
)

// Arguments are those of a Description, taken out one by one by whoever makes
// an endpoint of it. The first error stays: check Err at the end.
type Arguments struct {
	d     Description
	names []string // of arguments that went by their place
	taken map[string]bool
	known []string // whatever was asked for
	err   error
}

// Arguments returns d's arguments. places are the names of those that go by
// their place, in order; each may be given by its name as well.
func (d Description) Arguments(places ...string) *Arguments {
	a := &Arguments{d: d, taken: map[string]bool{}}
	for _, arg := range d.Args {
		if arg.Named {
			continue
		}
		if len(a.names) == len(places) {
			a.fail("%q is one argument too many: at most %d go by their place (%s)", arg.Value, len(places), strings.Join(places, ", "))
			break
		}
		a.names = append(a.names, places[len(a.names)])
	}
	return a
}

func (a *Arguments) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf("endpoint %q: "+format, append([]any{a.d.String()}, args...)...)
	}
}

// Lookup returns an argument, and whether it was given.
func (a *Arguments) Lookup(name string) (value string, ok bool) {
	a.known = append(a.known, name)
	a.taken[name] = true
	place := 0
	for _, arg := range a.d.Args {
		is := arg.Name
		if !arg.Named {
			if place == len(a.names) {
				break
			}
			is = a.names[place]
			place++
		}
		if is == name && ok {
			a.fail("%s is given by its place and by its name", name)
		} else if is == name {
			value, ok = arg.Value, true
		}
	}
	return value, ok
}

// Text returns an argument, or def.
func (a *Arguments) Text(name, def string) string {
	if v, ok := a.Lookup(name); ok {
		return v
	}
	return def
}

// Need returns an argument that must be given, and not be empty.
func (a *Arguments) Need(name string) string {
	v, _ := a.Lookup(name)
	if v == "" {
		a.fail("no %s", name)
	}
	return v
}

// Port returns an argument that is a port; needed says that it must be given.
func (a *Arguments) Port(name string, needed bool) uint16 {
	v, ok := a.Lookup(name)
	if !ok && !needed {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil {
		a.fail("%s is %q, want a number from 0 to 65535", name, v)
	}
	return uint16(n)
}

// Int returns an argument that is a number, not negative, in the given base,
// or def.
func (a *Arguments) Int(name string, base, def int) int {
	v, ok := a.Lookup(name)
	if !ok {
		return def
	}
	n, err := strconv.ParseUint(v, base, 31)
	if err != nil {
		what := "a number"
		if base == 8 {
			what = "an octal number"
		}
		a.fail("%s is %q, want %s", name, v, what)
	}
	return int(n)
}

// Bool returns an argument that is yes or no, or def. 1 and 0, true and false
// will do.
func (a *Arguments) Bool(name string, def bool) bool {
	v, ok := a.Lookup(name)
	switch {
	case !ok:
		return def
	case v == "yes" || v == "true" || v == "1":
		return true
	case v != "no" && v != "false" && v != "0":
		a.fail("%s is %q, want yes or no", name, v)
	}
	return false
}

// Duration returns an argument that is a time, in seconds or as
// time.ParseDuration has it, or 0.
func (a *Arguments) Duration(name string) time.Duration {
	v, ok := a.Lookup(name)
	if !ok {
		return 0
	}
	if n, err := strconv.ParseUint(v, 10, 32); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		a.fail("%s is %q, want seconds, or a time such as 1m30s", name, v)
	}
	return d
}

// durationOrNo is Duration for a time that may be none: no is negative.
func (a *Arguments) durationOrNo(name string) time.Duration {
	if v, ok := a.Lookup(name); ok && v == "no" {
		return -1
	}
	return a.Duration(name)
}

// position returns an argument that is yes or no, if it was given.
func (a *Arguments) position(name string) proactor.Switch {
	switch _, ok := a.Lookup(name); {
	case !ok:
		return proactor.Unset
	case a.Bool(name, false):
		return proactor.On
	}
	return proactor.Off
}

// Address returns an argument that is an IP address without a port, to
// connect from, or nothing.
func (a *Arguments) Address(name string) mobius.Address {
	v, ok := a.Lookup(name)
	if !ok || v == "" {
		return mobius.Address{}
	}
	if !strings.Contains(v, "]") && strings.Count(v, ":") != 1 {
		v = "[" + v + "]:0"
	}
	at, err := mobius.ParseAddress("tcp", v)
	if err != nil {
		a.fail("%s is %q, want an IP address, with a port if need be", name, v)
	}
	return at
}

// listenAddress returns where to listen; an empty host means everywhere.
func (a *Arguments) listenAddress(host string, port uint16) mobius.Address {
	at, err := mobius.ParseAddress("tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		a.fail("interface is %q, want an IP address of this host", host)
	}
	return at
}

// Err returns the first error: of an argument, or that there are others than
// were asked for.
func (a *Arguments) Err() error {
	for _, arg := range a.d.Args {
		if arg.Named && !a.taken[arg.Name] {
			slices.Sort(a.known)
			a.fail("it has no argument %q, but %s", arg.Name, strings.Join(slices.Compact(a.known), ", "))
		}
	}
	return a.err
}
