package main

import (
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// The platform that the program was built for.
const goos, goarch = runtime.GOOS, runtime.GOARCH

// runVersion prints what was built, from what, and by which Go.
func runVersion(args []string, out, _ io.Writer) error {
	set := flag.NewFlagSet("version", flag.ContinueOnError)
	if err := parseFlags(set, "version", args, out); err != nil {
		return err
	}
	fmt.Fprintln(out, "mobius", buildVersion())
	return nil
}

// buildVersion is the module's version and the commit, as far as the build
// knows them.
func buildVersion() string {
	version, commit, dirty := "(devel)", "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = " " + s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = " (modified)"
			}
		}
	}
	return fmt.Sprintf("%s%s%s %s %s/%s", version, commit, dirty, runtime.Version(), goos, goarch)
}
