package conformance

import (
	"strconv"

	"mobius/proactor"
	"mobius/test/backendtest"
)

// notYet are the kinds that backends of descriptors answer with ErrUnsupported.
var notYet = []proactor.Kind{proactor.OpRecvFrom, proactor.OpSendTo, proactor.OpPoll, proactor.OpChild}

// hostile says that the limits of c are tiny: amounts are scaled down, and the
// socket buffers are as small as the kernel makes them.
func hostile(c backendtest.Config, holds int) backendtest.Config {
	c.Hostile, c.Starves, c.Holds = true, true, holds
	return c
}

func itoa(n int) string { return strconv.Itoa(n) }
