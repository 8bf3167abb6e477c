package report

import (
	"flag"
	"io"
	"strings"

	"github.com/google/pprof/driver"
)

// Web shows a profile in google/pprof's web view, on a free port of the
// loopback interface, until the process ends. It opens a browser if browse.
func Web(file string, browse bool, log io.Writer) error {
	args := []string{"-http=127.0.0.1:"} // without a port: the driver finds a free one (it would tell people a 0)
	if !browse {
		args = append(args, "-no_browser")
	}
	flags := &webFlags{FlagSet: flag.NewFlagSet("pprof", flag.ContinueOnError), args: append(args, file)}
	flags.SetOutput(log)
	return driver.PProf(&driver.Options{Flagset: flags})
}

// webFlags are the driver's flags: it is called with args, whatever the
// program was called with.
type webFlags struct {
	*flag.FlagSet
	args  []string
	usage []string
}

// StringList is a flag that may be given several times; none is, here.
func (f *webFlags) StringList(name, value, usage string) *[]*string {
	return &[]*string{f.String(name, value, usage)}
}

// ExtraUsage returns what AddExtraUsage was given.
func (f *webFlags) ExtraUsage() string { return strings.Join(f.usage, "\n") }

// AddExtraUsage adds to the usage text.
func (f *webFlags) AddExtraUsage(text string) { f.usage = append(f.usage, text) }

// Parse returns what is no flag.
func (f *webFlags) Parse(usage func()) []string {
	f.Usage = usage
	if err := f.FlagSet.Parse(f.args); err != nil {
		return nil
	}
	return f.Args()
}
