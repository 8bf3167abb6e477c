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

// ParsePeer reads NAME[/KIND]=COMMAND. The shell runs the command, in which PORT
// is replaced by the port of 127.0.0.1 to listen on, or PATH by that of a unix
// socket, UPSTREAM by the HOST:PORT of an echo server, CERT and KEY by PEM files.
// Without a KIND it is a proxy if UPSTREAM occurs, and an echo if not.
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
	case !hasKind && strings.Contains(command, "UPSTREAM"):
		kind = KindProxy
	case !hasKind:
		kind = KindEcho
	}
	needs := "PORT"
	if kind == KindUnix {
		needs = "PATH"
	}
	if !strings.Contains(command, needs) {
		return Peer{}, fmt.Errorf("peer %q: the command has no %s to listen on: %s", name, needs, command)
	}
	return Peer{Name: name, Kinds: []string{kind}, Loops: 1, Command: func(at Place) ([]string, error) {
		fill := strings.NewReplacer("PORT", at.Port, "PATH", at.Address, "UPSTREAM", at.Upstream, "CERT", at.Cert, "KEY", at.Key)
		return []string{"/bin/sh", "-c", "exec " + fill.Replace(command)}, nil
	}}, nil
}
