package endpoint

import (
	"fmt"
	"strings"
)

// A Description is an endpoint as text: a type, and arguments that go by their
// place or by a name.
//
//	TYPE:VALUE:VALUE:NAME=VALUE
//
// A backslash makes the next character an ordinary one. A colon or a backslash
// in any part needs it, an equal sign only in what is not the value of a name.
type Description struct {
	Type string
	Args []Arg
}

// An Arg is one argument of a Description. Without a name it goes by its place.
type Arg struct {
	Named bool
	Name  string
	Value string
}

// MaxDescription is how long a description may be, in bytes.
const MaxDescription = 4096

// ParseDescription reads a description. Its String is the same description,
// and the same text but for needless backslashes. A name that stands twice is
// an error, and so is a backslash at the end.
func ParseDescription(text string) (Description, error) {
	if len(text) > MaxDescription {
		return Description{}, fmt.Errorf("endpoint of %d bytes: want at most %d", len(text), MaxDescription)
	}
	var args []Arg
	var now Arg
	var part strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			if i++; i == len(text) {
				return Description{}, fmt.Errorf("endpoint %q: it ends with a backslash, which wants a character after it", text)
			}
			part.WriteByte(text[i])
		case c == '=' && !now.Named:
			now.Named, now.Name = true, part.String()
			part.Reset()
		case c == ':':
			now.Value = part.String()
			args = append(args, now)
			now = Arg{}
			part.Reset()
		default:
			part.WriteByte(c)
		}
	}
	now.Value = part.String()
	return describe(text, append(args, now))
}

// describe makes a description of arguments, the first of which is the type.
func describe(text string, args []Arg) (Description, error) {
	if args[0].Named || args[0].Value == "" {
		return Description{}, fmt.Errorf("endpoint %q: want TYPE:ARGUMENTS, as in tcp:80", text)
	}
	seen := map[string]bool{}
	for _, a := range args {
		if a.Named && seen[a.Name] {
			return Description{}, fmt.Errorf("endpoint %q: %s stands there twice", text, a.Name)
		}
		seen[a.Name] = a.Named
	}
	return Description{Type: args[0].Value, Args: args[1:]}, nil
}

// String returns the description as text.
func (d Description) String() string {
	var b strings.Builder
	b.WriteString(Quote(d.Type))
	for _, a := range d.Args {
		b.WriteByte(':')
		if a.Named {
			b.WriteString(Quote(a.Name))
			b.WriteByte('=')
			b.WriteString(quote(a.Value, `\:`))
		} else {
			b.WriteString(Quote(a.Value))
		}
	}
	return b.String()
}

// With returns the description with one named argument more.
func (d Description) With(name, value string) Description {
	d.Args = append(d.Args[:len(d.Args):len(d.Args)], Arg{Named: true, Name: name, Value: value})
	return d
}

// Inner returns the description that d's arguments are, for types that wrap
// another: tcp:80 of haproxy:tcp:80.
func (d Description) Inner() (Description, error) {
	if len(d.Args) == 0 {
		return Description{}, fmt.Errorf("endpoint %q: want another endpoint behind it, as in %s:tcp:80", d, d.Type)
	}
	return describe(d.String(), d.Args)
}

// Quote returns text with backslashes, so that it can be any part of a
// description (Twisted's quoteStringArgument).
func Quote(text string) string { return quote(text, `\:=`) }

func quote(text, special string) string {
	if !strings.ContainsAny(text, special) {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		if strings.IndexByte(special, text[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
