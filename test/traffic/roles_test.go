package traffic

import (
	"fmt"
	"os"
)

// roles are the servers that this test binary can be.
func roles() map[string]func() error { return map[string]func() error{} }

// playRole runs a role and returns the process's exit status.
func playRole(name string) int {
	role := roles()[name]
	if role == nil {
		fmt.Fprintf(os.Stderr, "no role %q\n", name)
		return 2
	}
	if err := role(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
