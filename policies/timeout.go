package policies

import (
	"time"

	"mobius"
	"mobius/protocols"
)

// DefaultTimeout is how long a connection under [Timeout] may be idle:
// Twisted's.
const DefaultTimeout = 30 * time.Minute

// Timeout returns a factory whose connections are closed by LoseConnection when
// nothing has been received and nothing written for so long; 0 means
// [DefaultTimeout]. (Twisted: TimeoutFactory.)
func Timeout(f mobius.Factory, idle time.Duration) mobius.Factory {
	if idle == 0 {
		idle = DefaultTimeout
	}
	return Wrap(f, func(_ mobius.Address, w *Wrapper) {
		t := &protocols.Timeout{}
		w.Made = func(below mobius.Transport) { t.Watch(below, idle) }
		w.Received = func([]byte) { t.Reset() }
		w.Written = w.Received
		w.Lost = func(error) { t.SetTimeout(0) }
	})
}
