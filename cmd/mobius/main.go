// Command mobius is a proxy for TCP, TLS, UDP and unix sockets, an echo server, a
// benchmark and a kernel probe on the Mobius reactor.
//
//	mobius proxy [--listen URL]… [--to URL]… [--backend NAME] [--loops N] [--status ADDR]
//	mobius echo  --listen URL [--backend NAME] [--loops N] [--status ADDR]
//	mobius bench [--quick] [--case CASE]… [--peers NAMES] [--out DIR]
//	mobius probe [--json]
//	mobius version
//
// Exit status: 0 after a clean end, 1 when something failed while it ran, 2
// when it could not start as asked: a bad flag, a bad URL, a busy port.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// The exit statuses.
const (
	exitFine   = 0
	exitFailed = 1 // it ran, and something went wrong
	exitUsage  = 2 // it could not start as asked
)

// A command is one of the program's verbs.
type command struct {
	name, summary string
	run           func(args []string, out, log io.Writer) error
}

func commands() []command {
	return []command{
		{"proxy", "forward connections to one or several upstreams", runProxy},
		{"echo", "send back whatever arrives", runEcho},
		{"bench", "measure Mobius beside other servers, on this machine", runBench},
		{"probe", "tell what this kernel offers, which backend is chosen, and why", runProbe},
		{"version", "print the version", runVersion},
	}
}

func main() {
	if status, ok := calledByBench(os.Args[1:]); ok {
		os.Exit(status)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit status.
func run(args []string, out, log io.Writer) int {
	if len(args) == 0 {
		printUsage(log)
		return exitUsage
	}
	name := args[0]
	if name == "help" || name == "-h" || name == "--help" || name == "-help" {
		if len(args) > 1 {
			return run([]string{args[1], "--help"}, out, log)
		}
		printUsage(out)
		return exitFine
	}
	if name == "--version" || name == "-version" {
		name = "version"
	}
	for _, c := range commands() {
		if c.name == name {
			return exitStatus(c.name, c.run(args[1:], out, log), log)
		}
	}
	return exitStatus("", usagef("unknown command %q; try: mobius help", name), log)
}

// exitStatus prints err as one line and returns the status that goes with it.
func exitStatus(name string, err error, log io.Writer) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitFine
	}
	prefix := "mobius"
	if name != "" {
		prefix += " " + name
	}
	fmt.Fprintf(log, "%s: %s\n", prefix, strings.ReplaceAll(err.Error(), "\n", "; "))
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.status
	}
	return exitFailed
}

// An exitError ends the program with a status of its own.
type exitError struct {
	status int
	err    error
}

// Error returns the cause's text.
func (e *exitError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *exitError) Unwrap() error { return e.err }

// usagef is an error that ends the program with exitUsage.
func usagef(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func printUsage(w io.Writer) {
	fmt.Fprint(w, "Mobius: a proxy for TCP, TLS, UDP and unix sockets on io_uring, epoll or kqueue.\n\nUsage:\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  mobius %-8s  %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nmobius COMMAND --help tells a command's flags. To see it at work: mobius proxy\n")
}
