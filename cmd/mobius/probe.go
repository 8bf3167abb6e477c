package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"runtime"

	"mobius"
)

const probeSynopsis = `probe [--json]

Tell what this kernel offers, which backend is chosen, and why. It asks the
kernel, by opening what a server would open.`

// A probeReport is what probe finds.
type probeReport struct {
	OS       string        `json:"os"`
	Arch     string        `json:"arch"`
	CPUs     int           `json:"cpus"`
	Version  string        `json:"version"`
	Backend  backendStatus `json:"backend"` // what auto chooses
	Error    string        `json:"error,omitempty"`
	Platform any           `json:"platform,omitempty"` // what the platform's own backends found
}

// runProbe is the command.
func runProbe(args []string, out, _ io.Writer) error {
	set := flag.NewFlagSet("probe", flag.ContinueOnError)
	asJSON := set.Bool("json", false, "print JSON")
	if err := parseFlags(set, probeSynopsis, args, out); err != nil {
		return err
	}
	report, details := probe()
	if *asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	fmt.Fprintf(out, "mobius      %s\nmachine     %s/%s, %d processors\n", report.Version, report.OS, report.Arch, report.CPUs)
	if report.Error != "" {
		fmt.Fprintf(out, "backend     none: %s\n", report.Error)
	} else {
		fmt.Fprintf(out, "backend     %s: %s\n", backendTitle(report.Backend.Name), report.Backend.Why)
	}
	details(out)
	return nil
}

// probe asks, and returns with the report a function that prints its Platform.
func probe() (*probeReport, func(io.Writer)) {
	p := &probeReport{OS: goos, Arch: goarch, CPUs: runtime.NumCPU(), Version: buildVersion()}
	r, err := mobius.New(mobius.Options{})
	if err != nil {
		p.Error = err.Error()
	} else {
		b := r.Backend()
		p.Backend = backendStatus{b.Name, b.Why, 1}
		r.Close()
	}
	found, details := probePlatform()
	p.Platform = found
	return p, details
}
