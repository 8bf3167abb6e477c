package endpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"mobius"
)

// An Inheritance is the sockets that a service manager has handed to this
// process (sd_listen_fds(3)). Each can be listened on once: its descriptor is closed
// then, and the number may be another's. Any goroutine may use it, and several
// parsers may share it.
type Inheritance struct {
	fds []mobius.ListenFD

	mu    sync.Mutex
	taken map[int]bool
}

// NewInheritance returns an inheritance of fds, which [mobius.ListenFDs] returns.
func NewInheritance(fds []mobius.ListenFD) *Inheritance {
	return &Inheritance{fds: fds, taken: map[int]bool{}}
}

// environment is what this process was handed: once, as long as it lives,
// whoever asks.
var environment = sync.OnceValues(func() (*Inheritance, error) {
	fds, _, err := mobius.ListenFDs(os.Environ(), os.Getpid())
	return NewInheritance(fds), err
})

// take reports whether fd is there for the caller, and is for nobody else then.
func (h *Inheritance) take(fd int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.taken[fd]
	h.taken[fd] = true
	return !was
}

// at returns the descriptor with an index.
func (h *Inheritance) at(index int) (int, error) {
	if index >= len(h.fds) {
		return 0, fmt.Errorf("index is %d, and there are %d sockets (LISTEN_FDS)", index, len(h.fds))
	}
	return h.fds[index].FD, nil
}

// named returns the descriptor with a name, which must be of one alone.
func (h *Inheritance) named(name string) (int, error) {
	var found []string
	var names []string
	fd := 0
	for i, d := range h.fds {
		names = append(names, strconv.Quote(d.Name))
		if d.Name == name {
			found, fd = append(found, strconv.Itoa(i)), d.FD
		}
	}
	switch {
	case len(names) == 0:
		return 0, fmt.Errorf("name is %q, and there are no sockets (LISTEN_FDS)", name)
	case len(found) == 0:
		return 0, fmt.Errorf("name is %q, want one of %s (LISTEN_FDNAMES)", name, strings.Join(names, ", "))
	case len(found) > 1:
		return 0, fmt.Errorf("name is %q, as several are called: give the index, one of %s", name, strings.Join(found, ", "))
	}
	return fd, nil
}

// parseSystemdServer makes systemd: servers.
func parseSystemdServer(p *Parser, r Reactor, d Description) (Server, error) {
	a := d.Arguments("domain")
	s := &FDServer{Reactor: r, Domain: a.domain(), from: p.Inherited}
	s.Options.Transport = transportOptions(a)
	index, name := a.Int("index", 10, -1), a.Text("name", "")
	if s.from == nil {
		h, err := environment()
		if err != nil {
			a.fail("%w", err)
		}
		s.from = h
	}
	var err error
	switch _, named := a.Lookup("name"); {
	case named && index >= 0:
		a.fail("index and name are both given, want one of them")
	case index >= 0:
		s.FD, err = s.from.at(index)
	case named:
		s.FD, err = s.from.named(name)
	default:
		a.fail("no index and no name, want one of them")
	}
	if err != nil {
		a.fail("%w", err)
	}
	if err := a.Err(); err != nil {
		return nil, err
	}
	s.text = d.String()
	return s, nil
}
