package tls

import "mobius/transport"

// A callback names a method of the protocol's abilities.
type callback uint8

const (
	readConnectionLost callback = iota
	writeConnectionLost
	pauseWriting
	resumeWriting
)

// tell calls an ability of the protocol above. A panic in it is the
// connection's end.
func (y *layer) tell(what callback) {
	defer y.returned()
	switch what {
	case readConnectionLost, writeConnectionLost:
		h, _ := transport.As[transport.HalfCloser](y.upper)
		if what == readConnectionLost {
			h.ReadConnectionLost()
		} else {
			h.WriteConnectionLost()
		}
	case pauseWriting, resumeWriting:
		d, _ := transport.As[transport.Drainer](y.upper)
		if what == pauseWriting {
			d.PauseWriting()
		} else {
			d.ResumeWriting()
		}
	}
}

// setUpper makes p the protocol above, and notes its abilities.
func (y *layer) setUpper(p transport.Protocol) {
	y.upper = p
	y.flags &^= halfCloser | drainer
	if _, ok := transport.As[transport.HalfCloser](p); ok {
		y.flags |= halfCloser
	}
	if _, ok := transport.As[transport.Drainer](p); ok {
		y.flags |= drainer
	}
}
