package datagram

import (
	"time"

	"mobius/proactor"
)

// Options configure a [Port]. The zero value, and a nil *Options, are the
// defaults of every field. They must not be changed while a port uses them.
type Options struct {
	// Socket is what the socket gets; its Local is ignored. ReusePort lets
	// several sockets have one port, each of which gets a copy of every
	// multicast datagram (Twisted's listenMultiple). May be nil.
	Socket *proactor.SocketOptions

	// Queue is how many datagrams may wait for the kernel to take them,
	// QueueBytes how many bytes; a write beyond is transport.ErrFull. Defaults
	// 4,096 and 16 MiB. One datagram always has room.
	Queue      int
	QueueBytes int

	// CloseTimeout bounds how long StopListening waits for the kernel to take
	// what was written. Default 5 s, negative: it does not wait.
	CloseTimeout time.Duration
}

// The defaults of Options.
const (
	DefaultQueue        = 4096
	DefaultQueueBytes   = 16 << 20
	DefaultCloseTimeout = 5 * time.Second
)

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.Queue <= 0 {
		d.Queue = DefaultQueue
	}
	if d.QueueBytes <= 0 {
		d.QueueBytes = DefaultQueueBytes
	}
	if d.CloseTimeout == 0 {
		d.CloseTimeout = DefaultCloseTimeout
	}
	return d
}
