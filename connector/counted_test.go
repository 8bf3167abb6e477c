package connector

import (
	"sync"

	"mobius/transport"
)

type protocol = transport.Protocol

// A counted protocol is one of several loops': it counts itself under a lock,
// and does nothing else.
type counted struct {
	mu *sync.Mutex
	n  *int
}

func (c *counted) ConnectionMade(transport.Transport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*c.n++
}

func (c *counted) DataReceived([]byte)  {}
func (c *counted) ConnectionLost(error) {}
