package mobius

import (
	"fmt"
	"strconv"
	"strings"
)

// A ListenFD is a descriptor that a service manager has handed to this process.
type ListenFD struct {
	FD   int
	Name string // as the manager calls it; "unknown" if it does not say
}

// firstListenFD is the number of the first one (sd_listen_fds(3)).
const firstListenFD = 3

// mostListenFDs bounds LISTEN_FDS.
const mostListenFDs = 1 << 16

// ListenFDs returns the descriptors that systemd, or who speaks as it does,
// has handed to the process pid, os.Getpid(): what LISTEN_PID, LISTEN_FDS and
// LISTEN_FDNAMES of environ, os.Environ(), say (sd_listen_fds(3)). There are none
// if LISTEN_PID is not pid; values that make no sense are an error. rest is
// environ without these variables, for children.
//
// The descriptors are the caller's: give each to AdoptStreamPort, and Discard it.
// (Twisted's systemd.ListenFDs.)
func ListenFDs(environ []string, pid int) (fds []ListenFD, rest []string, err error) {
	values := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch name {
		case "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES":
			values[name] = value
		default:
			rest = append(rest, entry)
		}
	}
	fds, err = parseListenFDs(values["LISTEN_PID"], values["LISTEN_FDS"], values["LISTEN_FDNAMES"], pid)
	return fds, rest, err
}

func parseListenFDs(pid, count, names string, self int) ([]ListenFD, error) {
	if pid == "" || count == "" {
		return nil, nil
	}
	whose, err := strconv.Atoi(pid)
	if err != nil || whose <= 0 {
		return nil, fmt.Errorf("mobius: LISTEN_PID is %q, want the number of a process", pid)
	}
	if whose != self {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > mostListenFDs {
		return nil, fmt.Errorf("mobius: LISTEN_FDS is %q, want 0 to %d", count, mostListenFDs)
	}
	var each []string
	if names != "" {
		if each = strings.Split(names, ":"); len(each) != n {
			return nil, fmt.Errorf("mobius: LISTEN_FDNAMES has %d names, LISTEN_FDS says %d", len(each), n)
		}
	}
	var all []ListenFD
	for i := range n {
		d := ListenFD{FD: firstListenFD + i, Name: "unknown"}
		if each != nil {
			d.Name = each[i]
		}
		all = append(all, d)
	}
	return all, nil
}
