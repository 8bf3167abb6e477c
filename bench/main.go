package bench

import (
	"fmt"
	"io"
	"net"
	"os"

	"mobius"
	"mobius/bench/control"
	"mobius/bench/load"
	"mobius/bench/servers"
	"mobius/netconn"
)

// The commands by which the harness calls its own program again. They are no
// part of its interface.
const (
	PeerCommand = "bench-peer" // a server: mobius ARGS…, or net or netconn KIND ADDRESS [UPSTREAM | CERT KEY]
	LoadCommand = "bench-load" // a load, or upstream ADDRESS
)

// Main runs such a command: args begin with its name. program is
// what this program does with a user's arguments. It returns the process's exit status.
func Main(args []string, program func(args []string) int, in io.Reader, out io.Writer) int {
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
		return program(args[2:])
	case len(args) > 1 && args[0] == PeerCommand && args[1] == "net":
		control.Serve()
		return servers.Main(args[2:], nil)
	case len(args) > 1 && args[0] == PeerCommand && args[1] == "netconn":
		control.Serve()
		r, err := netconn.Start(mobius.Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, "netconn:", err)
			return 1
		}
		defer r.Close()
		return servers.Main(args[2:], func(network, address string) (net.Listener, error) {
			return netconn.Listen(r.Reactor, network, address)
		})
	}
	fmt.Fprintf(os.Stderr, "bench: %q is nothing that the harness calls\n", args)
	return 2
}
