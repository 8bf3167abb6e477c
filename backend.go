package mobius

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"mobius/proactor"
)

// A BackendInfo tells which backend a reactor runs on, and why that one.
type BackendInfo struct {
	Name string // "uring", "epoll", "netpoll", "kqueue", "sim", …
	Why  string // in words

	// Affinity says whether each loop has a thread of its own, or is a goroutine
	// like others, see Options.Backend. It decides what Iterate needs.
	Affinity Affinity
}

// A candidate is a backend of this platform.
type candidate struct {
	name string
	open func() (proactor.Backend, error)

	// unavailable is the error by which open says that the kernel refuses the
	// backend as a whole, so that auto goes on to the next candidate.
	unavailable error
}

// openAll opens a backend for each loop, all of one kind.
func openAll(o *Options, log *slog.Logger) ([]proactor.Backend, BackendInfo, error) {
	if o.Open != nil {
		backends, err := openEach(o.Loops, o.Open)
		if err != nil {
			return nil, BackendInfo{}, err
		}
		return backends, info(backends, backends[0].Name(), "made by Options.Open"), nil
	}
	if o.Direct != 0 {
		return openDirect(o)
	}
	if o.Backend == "" || o.Backend == "auto" {
		return openAuto(candidates(), o.Loops, log)
	}
	for _, c := range candidates() {
		if c.name == o.Backend {
			backends, err := openEach(o.Loops, c.openLoop)
			if err != nil {
				return nil, BackendInfo{}, err
			}
			return backends, info(backends, c.name, "asked for by name"), nil
		}
	}
	return nil, BackendInfo{}, fmt.Errorf("backend %q: %s has %s", o.Backend, platform, candidateNames())
}

// openDirect opens the one backend that has Options.Direct. Where it cannot be
// had there is no other: those would have a descriptor for each connection.
func openDirect(o *Options) ([]proactor.Backend, BackendInfo, error) {
	switch {
	case o.Backend != "" && o.Backend != "auto" && o.Backend != withTable:
		return nil, BackendInfo{}, fmt.Errorf("Options.Direct is %d, but backend %q has no table of connections: io_uring has, on Linux",
			o.Direct, o.Backend)
	case o.Direct < 0:
		return nil, BackendInfo{}, fmt.Errorf("Options.Direct is %d, want 0 or more", o.Direct)
	}
	backends, err := openEach(o.Loops, func(int) (proactor.Backend, error) { return openTable(o.Direct) })
	if err != nil {
		return nil, BackendInfo{}, err
	}
	return backends, info(backends, backends[0].Name(), "it keeps connections without descriptors"), nil
}

func info(backends []proactor.Backend, name, why string) BackendInfo {
	return BackendInfo{Name: name, Why: why, Affinity: backends[0].Affinity()}
}

func (c candidate) openLoop(int) (proactor.Backend, error) { return c.open() }

func candidateNames() string {
	var names []string
	for _, c := range candidates() {
		names = append(names, c.name)
	}
	switch last := len(names) - 1; last {
	case -1:
		return "no backend"
	case 0:
		return names[0]
	default:
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
}

// openAuto opens the first candidate that the kernel does not refuse.
func openAuto(from []candidate, loops int, log *slog.Logger) ([]proactor.Backend, BackendInfo, error) {
	why := "the first choice on " + platform
	for _, c := range from {
		backends, err := openEach(loops, c.openLoop)
		switch {
		case err == nil:
			return backends, info(backends, c.name, why), nil
		case c.unavailable == nil || !errors.Is(err, c.unavailable):
			return nil, BackendInfo{}, err
		}
		why = errors.Unwrap(err).Error() // without the loop's number
		log.Warn("falling back to the next backend", "refused", c.name, "why", why)
	}
	return nil, BackendInfo{}, fmt.Errorf("no backend: %s", why)
}

// openEach opens one backend per loop, or none.
func openEach(loops int, open func(loop int) (proactor.Backend, error)) ([]proactor.Backend, error) {
	var backends []proactor.Backend
	for i := range loops {
		b, err := open(i)
		if err != nil {
			for _, b := range backends {
				b.Close()
			}
			return nil, fmt.Errorf("backend of loop %d: %w", i, err)
		}
		backends = append(backends, b)
	}
	return backends, nil
}
