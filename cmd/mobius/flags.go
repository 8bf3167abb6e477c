package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// maxLoops bounds --loops: far beyond any machine's cores, and a slip of the
// finger does not start a million threads.
const maxLoops = 1024

// A list is a flag that may be given several times.
type list []string

// String returns the values as one text.
func (l *list) String() string { return strings.Join(*l, " ") }

// Set appends one value.
func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// A single is a flag that may be given once.
type single struct {
	value string
	given bool
}

// String returns the value.
func (s *single) String() string { return s.value }

// Set takes the value.
func (s *single) Set(value string) error {
	if s.given {
		return fmt.Errorf("it is given twice, and was %q before", s.value)
	}
	s.value, s.given = value, true
	return nil
}

// A reactorFlags is what every serving command has in common.
type reactorFlags struct {
	backend string
	loops   int
	direct  int
	status  string
	drain   time.Duration
	signals chan os.Signal // caught from newReactor on: before anybody is told that the program listens
}

func (f *reactorFlags) register(set *flag.FlagSet) {
	set.StringVar(&f.backend, "backend", "auto", "`NAME` of what does the I/O: auto, uring, epoll, netpoll or kqueue.\n"+
		"auto is io_uring, or epoll where the kernel refuses it; a name given\nhere is used or is an error")
	set.IntVar(&f.loops, "loops", 1, "`N` event loops, each a thread of its own but on netpoll")
	set.IntVar(&f.direct, "direct", 0, "keep `N` connections of each loop without a descriptor, beyond the limit\n"+
		"on those (ulimit -n), which bounds N itself; Linux 6.13 and io_uring\nonly. 0 is none")
	set.StringVar(&f.status, "status", "", "serve a status page on `ADDR` (HOST:PORT, or unix:///PATH), the same as\n"+
		"JSON at /status.json. It has no password: keep it on 127.0.0.1")
	set.DurationVar(&f.drain, "drain-timeout", 30*time.Second, "on SIGTERM or SIGINT: wait this long for connections to end by\n"+
		"themselves before they are cut; a second signal ends at once")
}

func (f *reactorFlags) check() error {
	if !slices.Contains([]string{"auto", "uring", "epoll", "netpoll", "kqueue"}, f.backend) {
		return usagef("--backend is %q, want auto, uring, epoll, netpoll or kqueue", f.backend)
	}
	if f.loops < 1 || f.loops > maxLoops {
		return usagef("--loops is %d, want 1 to %d", f.loops, maxLoops)
	}
	if f.direct < 0 {
		return usagef("--direct is %d, want 0 or more", f.direct)
	}
	if f.drain < 0 {
		return usagef("--drain-timeout is %v, want 0 or more", f.drain)
	}
	return nil
}

// parseFlags parses args into set. Unknown flags and left-over arguments are
// usage errors of one line; --help prints synopsis and flags to out and
// answers flag.ErrHelp.
func parseFlags(set *flag.FlagSet, synopsis string, args []string, out io.Writer) error {
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	err := set.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(out, "Usage: mobius %s\n\nFlags:\n", synopsis)
		set.SetOutput(out)
		set.PrintDefaults()
		return flag.ErrHelp
	}
	if err != nil {
		return usagef("%w%s; try: mobius %s --help", err, wanted(set, err), set.Name())
	}
	if set.NArg() > 0 {
		return usagef("unexpected argument %q; try: mobius %s --help", set.Arg(0), set.Name())
	}
	return nil
}

// wanted says what would be right where package flag says only that a value
// could not be read.
func wanted(set *flag.FlagSet, err error) string {
	text, reads := strings.CutSuffix(err.Error(), ": parse error")
	_, name, named := strings.Cut(text, " for flag -")
	f := set.Lookup(name)
	if !reads || !named || f == nil {
		return ""
	}
	switch f.Value.(flag.Getter).Get().(type) {
	case time.Duration:
		return ", want a time such as 30s or 1m30s"
	case int:
		return ", want a whole number"
	}
	return ""
}
