package datagram

import "mobius/proactor"

// A Protocol is the application's end of a datagram socket: Twisted's
// DatagramProtocol.
//
// Its methods are called on the loop's goroutine, one at a time, in this
// order: StartProtocol, DatagramReceived any number of times, StopProtocol;
// each of the outer two exactly once for each time that the port is started. A
// panic in one of them is reported, and the port goes on.
//
// A Protocol may have further abilities, which transport.As finds:
// [ConnectionRefuser], [SendFailer], [Informed], [TrainReceiver], [InformedTrainReceiver], and
// transport.Drainer, of which ResumeWriting is called once half the queue is
// free again after a write that was refused with ErrFull.
type Protocol interface {
	// StartProtocol hands over the port, which is bound.
	StartProtocol(p *Port)

	// DatagramReceived delivers one datagram, which may be empty. data is lent
	// until DatagramReceived returns. from is invalid if a unix socket without
	// a path sent it.
	DatagramReceived(data []byte, from proactor.Address)

	// StopProtocol is the end: err is a *transport.ConnError that says of what
	// kind. The descriptor is closed already. It is never called inside
	// StopListening.
	StopProtocol(err error)
}

// A ConnectionRefuser is a Protocol of a connected port that wants to know when
// nobody listens at the peer's address. Ports that are not connected never hear
// of it.
type ConnectionRefuser interface {
	// ConnectionRefused is called when an ICMP message said so (ECONNREFUSED,
	// udp(7)), or the unix socket is gone: some earlier datagram was not taken.
	ConnectionRefused()
}

// A SendFailer is a Protocol that wants to know of each datagram that this host
// did not send, although a write had accepted it.
type SendFailer interface {
	// SendFailed gives the destination and the error, a syscall.Errno or
	// net.ErrClosed for what was queued when the port was stopped.
	SendFailed(to proactor.Address, err error)
}

// An Informed protocol gets what travels beside a datagram: its DatagramInfo is
// called in place of DatagramReceived.
type Informed interface {
	// DatagramInfo delivers one datagram. msg, lent like data, says what
	// Options.Socket asked for (RecvTTL, RecvTrafficClass, …), holds the files
	// that came along, now the protocol's to close, and whether the datagram was
	// Truncated: data is then its beginning.
	DatagramInfo(data []byte, from proactor.Address, msg *proactor.Msg)
}

// A TrainReceiver takes several datagrams of one sender at once, as they come
// if Options.Socket.SegmentedReceive is on (UDP_GRO).
type TrainReceiver interface {
	// TrainReceived delivers datagrams of segment bytes each, the last one of at
	// least one, that lie in data one after the other. data is lent.
	TrainReceived(data []byte, segment int, from proactor.Address)
}

// An InformedTrainReceiver is an [Informed] protocol that takes several datagrams of
// one sender at once: its TrainInfo is called in place of DatagramInfo for those that
// came together. What it gets it can pass on as it is: a WriteMsg of data with msg's
// SegmentSize sends the same datagrams.
type InformedTrainReceiver interface {
	// TrainInfo delivers datagrams as TrainReceived does, of msg.SegmentSize bytes
	// each. They had the same fields, which are msg.Info. data and msg are lent.
	TrainInfo(data []byte, from proactor.Address, msg *proactor.Msg)
}
