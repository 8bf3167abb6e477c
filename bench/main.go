package bench

import (
	"fmt"
	"io"
	"os"

	"mobius/bench/control"
	"mobius/bench/load"
	"mobius/bench/servers"
)

// The commands by which the harness calls its own program again. They are no
// part of its interface.
const (
	PeerCommand = "bench-peer" // a server: mobius ARGS…, or net KIND ADDRESS [UPSTREAM | CERT KEY]
	LoadCommand = "bench-load" // a load, or upstream ADDRESS
)

// Main runs such a command: args begin with its name. mobius is what the
// program does with a user's arguments. It returns the process's exit status.
func Main(args []string, mobius func(args []string) int, in io.Reader, out io.Writer) int {
	switch {
	case len(args) == 1 && args[0] == LoadCommand:
		return load.Main(in, out)
	case len(args) == 3 && args[0] == LoadCommand && args[1] == "upstream":
		if err := load.Upstream(args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return 1
	case len(args) > 1 && args[0] == PeerCommand && args[1] == "mobius":
		control.Serve()
		return mobius(args[2:])
	case len(args) > 1 && args[0] == PeerCommand && args[1] == "net":
		control.Serve()
		return servers.Main(args[2:])
	}
	fmt.Fprintf(os.Stderr, "bench: %q is nothing that the harness calls\n", args)
	return 2
}
