package main

import (
	"os"

	"mobius/bench"
)

// calledByBench runs what `mobius bench` starts of this program: its servers
// and its loads. They are no commands for users.
func calledByBench(args []string) (status int, ok bool) {
	if len(args) == 0 || args[0] != bench.PeerCommand && args[0] != bench.LoadCommand {
		return 0, false
	}
	return bench.Main(args, func(args []string) int { return run(args, os.Stdout, os.Stderr) }, os.Stdin, os.Stdout), true
}
