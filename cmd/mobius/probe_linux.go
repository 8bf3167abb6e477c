//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"

	"mobius/uring"
)

// probePlatform asks the kernel for its io_uring.
func probePlatform() (any, func(io.Writer)) {
	r := uring.Probe()
	return map[string]uring.Report{"io_uring": r}, func(out io.Writer) { printUring(out, r) }
}

func printUring(out io.Writer, r uring.Report) {
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(out, "%-11s %s\n", name, text)
		}
	}
	line("kernel", r.Kernel)
	if r.Available {
		line("io_uring", "available")
	} else {
		line("io_uring", "not available: "+r.Why)
	}
	line("lacks", strings.Join(r.Missing, " "))
	line("buffers", r.Buffers)
	if r.Direct == "" {
		line("direct", "connections without descriptors can be had (--direct)")
	} else {
		line("direct", "not possible: "+r.Direct)
	}
	if r.ZeroCopy == "" {
		line("zero copy", "sends without a copy can be had (uring.Options.ZeroCopy)")
	} else {
		line("zero copy", "not possible: "+r.ZeroCopy)
	}
	if r.Restricted {
		line("hardening", "rings are restricted to the operations that are used")
	}
	for i, c := range r.Choices {
		name := "features"
		if i > 0 {
			name = ""
		}
		why := "used"
		if !c.Used {
			why = "not used: " + c.Why
		}
		fmt.Fprintf(out, "%-11s %-20s %s\n", name, c.Feature, why)
	}
	line("setup", strings.Join(r.Setup, " "))
	line("ring", strings.Join(r.Ring, " "))
	line("operations", strings.Join(r.Operations, " "))
}
