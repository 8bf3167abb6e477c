package mobius

import (
	"mobius/proactor"
	"mobius/transport/datagram"
)

// What datagrams bring, under the reactor's names.
type (
	DatagramProtocol  = datagram.Protocol              // the application's end of a datagram socket
	DatagramPort      = datagram.Port                  // the network's end
	DatagramOptions   = datagram.Options               // of a DatagramPort
	ConnectionRefuser = datagram.ConnectionRefuser     // a DatagramProtocol that is told that nobody listens
	SendFailer        = datagram.SendFailer            // one that is told what was not sent
	DatagramInformed  = datagram.Informed              // one that gets what travels beside the bytes
	TrainReceiver     = datagram.TrainReceiver         // one that takes several datagrams at once
	TrainInformed     = datagram.InformedTrainReceiver // the same, with what travels beside them
	DatagramMsg       = proactor.Msg                   // what travels beside the bytes
	Membership        = proactor.Membership            // of a multicast group
)

// ListenUDP binds a UDP socket at addr, HOST:PORT with a numeric or empty host,
// and starts p on it (Twisted's IReactorUDP.listenUDP). An empty host takes
// IPv4 and IPv6. Port 0 is one of the kernel's choice; see DatagramPort.LocalAddr.
// A busy port is an error. For other options, [Reactor.ListenDatagram].
func (r *Reactor) ListenUDP(addr string, p DatagramProtocol) (*DatagramPort, error) {
	return r.listenDatagramAt("udp", addr, p, DatagramOptions{})
}

// ListenMulticast is ListenUDP for ports that Join groups (Twisted's
// IReactorMulticast.listenMulticast). With shared, several sockets may have the
// same port, and each gets every datagram of its groups; Twisted's listenMultiple.
// The groups' family must be the socket's: "0.0.0.0:PORT", "[::]:PORT", or ":PORT"
// for both.
func (r *Reactor) ListenMulticast(addr string, p DatagramProtocol, shared bool) (*DatagramPort, error) {
	return r.listenDatagramAt("udp", addr, p, DatagramOptions{Socket: &SocketOptions{ReusePort: shared}})
}

// ListenUNIXDatagram binds a unix datagram socket at path, @name for an abstract
// one (Twisted's IReactorUNIXDatagram.listenUNIXDatagram). A socket file that
// nobody answers at is replaced; it is removed when the port stops.
func (r *Reactor) ListenUNIXDatagram(path string, p DatagramProtocol) (*DatagramPort, error) {
	return r.listenDatagramAt("unixgram", path, p, DatagramOptions{})
}

// ConnectUNIXDatagram binds a unix datagram socket at local and connects it to
// path (Twisted's IReactorUNIXDatagram.connectUNIXDatagram). An empty local leaves
// it without a name, so that the peer cannot answer. That nobody is there is
// ECONNREFUSED or ENOENT in the future, and the port is stopped then.
func (r *Reactor) ConnectUNIXDatagram(path, local string, p DatagramProtocol) (*DatagramPort, *Future[struct{}], error) {
	to, err := ParseAddress("unixgram", path)
	if err != nil {
		return nil, nil, err
	}
	port, err := r.ListenUNIXDatagram(local, p)
	if err != nil {
		return nil, nil, err
	}
	var f *Future[struct{}]
	err = r.on(port.Loop(), func() {
		f = port.Connect(to)
		f.Then(func(_ struct{}, err error) {
			if err != nil {
				port.StopListening()
			}
		})
	})
	return port, f, err
}

func (r *Reactor) listenDatagramAt(network, text string, p DatagramProtocol, o DatagramOptions) (*DatagramPort, error) {
	addr, err := ParseAddress(network, text)
	if err != nil {
		return nil, err
	}
	return r.ListenDatagram(addr, p, o)
}

// ListenDatagram binds a datagram socket at addr and starts p on it. The port
// lives on the calling loop, or else on the first; its methods are for that
// loop's goroutine. Errors are *ConnError.
func (r *Reactor) ListenDatagram(addr Address, p DatagramProtocol, o DatagramOptions) (*DatagramPort, error) {
	l := r.inside()
	if l == nil {
		l = r.loops[0]
	}
	var port *DatagramPort
	var failed error
	if err := r.on(l, func() { port, failed = datagram.Listen(l, addr, p, &o) }); err != nil {
		return nil, err
	}
	return port, failed
}
