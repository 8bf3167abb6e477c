package proxy

import (
	"mobius/proactor"
	"mobius/transport/datagram"
)

// receiveTrains has a socket's datagrams come together, as many as the kernel has
// joined, unless o says otherwise: they are sent on as they come, which changes nothing
// for either side. A system that joins none (proactor.ErrUnsupported) brings each
// by itself.
func receiveTrains(p *datagram.Port, o *proactor.SocketOptions) {
	if o.SegmentedReceive == proactor.Unset {
		_ = p.SetOptions(&proactor.SocketOptions{SegmentedReceive: proactor.On})
	}
}

// countOf returns how many datagrams of segment bytes data is, one if segment is 0.
func countOf(data []byte, segment int) int {
	if segment <= 0 || len(data) <= segment {
		return 1
	}
	return (len(data) + segment - 1) / segment
}
