package bench

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A Place is where a peer is to listen, and what it may need for that.
type Place struct {
	Kind      string // which of its kinds
	Address   string // HOST:PORT; of [KindUnix] a path
	Port      string
	Upstream  string // HOST:PORT of the echo that a proxy stands in front of
	Dir       string // for files, gone after the run
	Cert, Key string // PEM files, of [KindTLS]
	Loops     int    // of peers that can have several
}

// A Peer is a server that is measured: a program that listens at a place until
// it is killed.
type Peer struct {
	Name    string
	Kinds   []string // what it can be
	Backend string   // what does the I/O: uring, epoll, netpoller, …
	Loops   int      // threads that do; 0 is one for each processor that servers have
	Control bool     // it answers as package control says

	// Command returns the program and its arguments, or why it is not to be had.
	Command func(Place) ([]string, error)
}

// Serves reports whether it can be of a kind.
func (p *Peer) Serves(kind string) bool { return slices.Contains(p.Kinds, kind) }

var peerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)

// ParsePeer reads NAME[/KIND]=COMMAND. The shell runs the command, in which the
// word PORT is replaced by the port of 127.0.0.1 to listen on, or of a unix echo PATH by
// that of a socket, of a proxy UPSTREAM by the HOST:PORT of an echo server, of a TLS
// echo CERT and KEY by PEM files. Without a KIND it is a proxy if UPSTREAM occurs,
// and an echo if not.
func ParsePeer(text string) (Peer, error) {
	name, command, found := strings.Cut(text, "=")
	name, kind, hasKind := strings.Cut(name, "/")
	kinds := []string{KindEcho, KindTLS, KindUnix, KindUDP, KindHTTP, KindProxy}
	switch {
	case !found || strings.TrimSpace(command) == "":
		return Peer{}, fmt.Errorf("peer %q has no command, want NAME[/KIND]=COMMAND", text)
	case !peerName.MatchString(name):
		return Peer{}, fmt.Errorf("peer %q: want up to 40 letters, digits, dots and dashes as a name", name)
	case hasKind && !slices.Contains(kinds, kind):
		return Peer{}, fmt.Errorf("peer %q: kind %q, want one of %s", name, kind, strings.Join(kinds, ", "))
	case !hasKind && fill(command, map[string]string{"UPSTREAM": ""}) != command:
		kind = KindProxy
	case !hasKind:
		kind = KindEcho
	}
	needs := "PORT"
	if kind == KindUnix {
		needs = "PATH"
	}
	if fill(command, map[string]string{needs: ""}) == command {
		return Peer{}, fmt.Errorf("peer %q: the command has no word %s to listen on: %s", name, needs, command)
	}
	return Peer{Name: name, Kinds: []string{kind}, Loops: 1, Command: func(at Place) ([]string, error) {
		words := map[string]string{"PORT": at.Port}
		switch kind {
		case KindUnix:
			words = map[string]string{"PATH": at.Address}
		case KindProxy:
			words["UPSTREAM"] = at.Upstream
		case KindTLS:
			words["CERT"], words["KEY"] = at.Cert, at.Key
		}
		return []string{"/bin/sh", "-c", alone(fill(command, words))}, nil
	}}, nil
}

// A shellWord is what may be a word in a command: SUPPORT, $PORT and MY_PORT are not PORT.
var shellWord = regexp.MustCompile(`\$?\{?[A-Za-z_][A-Za-z0-9_]*`)

// fill replaces whole words.
func fill(command string, words map[string]string) string {
	return shellWord.ReplaceAllStringFunc(command, func(word string) string {
		if value, ok := words[word]; ok {
			return value
		}
		return word
	})
}

// alone has the shell's process become the server's, where the command is one program: so
// the server's memory is not counted with a shell's.
func alone(command string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(command), " ")
	if strings.ContainsAny(command, ";&|(){}`\n") || strings.Contains(first, "=") {
		return command
	}
	return "exec " + command
}
