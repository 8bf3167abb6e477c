package flow

import (
	"errors"

	"mobius/transport"
)

// A Producer writes to a connection as long as it is registered with its
// [Consumer]. (Twisted: IProducer.)
type Producer interface {
	// StopProducing ends the production for good: nobody takes what would be
	// written. It is called once at most, and nothing after it. It is not
	// called if the producer was unregistered before.
	StopProducing()
}

// A PushProducer writes when it has something, unless it was told to pause.
// Calls alternate, PauseProducing first. (Twisted: IPushProducer.)
type PushProducer interface {
	Producer

	// PauseProducing is called when the output is longer than the transport's
	// HighWater: inside the Write that made it so, or inside RegisterProducer.
	PauseProducing()

	// ResumeProducing is called when the output has fallen to LowWater. It may
	// write as much as makes PauseProducing come before it returns.
	ResumeProducing()
}

// A PullProducer writes when it is asked to, by [Consumer.Write]. It is never
// paused, only not asked. (Twisted: IPullProducer.)
type PullProducer interface {
	Producer

	// ResumeProducing asks for a piece. It comes first inside RegisterPull, and
	// again at the end of a turn of the loop in which something was written or
	// sent, once the output is not longer than HighWater.
	ResumeProducing()
}

// ErrRegistered answers the registration of a second producer.
var ErrRegistered = errors.New("flow: a producer is registered already: unregister it first")

// A Source is a transport as a [PushProducer]: what is paused is its reading.
// Its end is orderly: StopProducing is LoseConnection.
type Source struct{ Transport transport.Transport }

// PauseProducing stops the transport's input.
func (s Source) PauseProducing() { s.Transport.PauseReading() }

// ResumeProducing lets the input go on.
func (s Source) ResumeProducing() { s.Transport.ResumeReading() }

// StopProducing closes the connection.
func (s Source) StopProducing() { s.Transport.LoseConnection() }
