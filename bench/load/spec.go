package load

import (
	"fmt"
	"time"

	"mobius/bench/result"
)

// A Mode is what the connections of a load do.
type Mode string

// The modes.
const (
	Echo      Mode = "echo"      // ask and check the answer, Depth requests at a time
	Slow      Mode = "slow"      // Echo; one more connection floods and hardly reads, and is not counted
	Connect   Mode = "connect"   // connect, ask once, close: a request is all of that
	Idle      Mode = "idle"      // ask once on each connection, then hold all of them
	Stream    Mode = "stream"    // datagrams: Depth of them leave as one send (UDP_SEGMENT) and come back by UDP_GRO
	Handshake Mode = "handshake" // TLS: connect, shake hands, ask once, close
	HTTP      Mode = "http"      // GET /bytes?n=Size over HTTP/1.1
)

// The limits of a Spec.
const (
	MaxConns    = 60_000
	MaxSize     = 16 << 20 // bytes
	MaxDepth    = 1024
	MaxDuration = time.Hour
)

const (
	maxDatagram = 65_507 // bytes: the largest of UDP over IPv4
	maxSegments = 64     // of one send: UDP_MAX_SEGMENTS of udp(7), 64 before Linux 6.9
	numberSize  = 4      // bytes of the number that a datagram begins with
)

// A Spec says what a load does.
type Spec struct {
	Network  string        // tcp, tls, unix or udp
	Address  string        // HOST:PORT with a numeric host; of unix, the path
	Mode     Mode          // what the connections do
	Conns    int           // connections
	Size     int           // bytes of a request, and of its answer
	Depth    int           // requests in flight on a connection
	Rate     float64       // requests per second on all connections together; 0 is a closed loop
	Warmup   time.Duration // before the measured time
	Duration time.Duration // measured
	Patience time.Duration // how long answers may be missing before that is an error; 0 means 5 s
}

// patience returns how long answers may be missing.
func (s *Spec) patience() time.Duration {
	if s.Patience > 0 {
		return s.Patience
	}
	return 5 * time.Second
}

// Check reports what is wrong with a Spec.
func (s *Spec) Check() error {
	switch {
	case s.Conns < 1 || s.Conns > MaxConns:
		return fmt.Errorf("load: %d connections, want 1 to %d", s.Conns, MaxConns)
	case s.Size < 1 || s.Size > MaxSize:
		return fmt.Errorf("load: requests of %d bytes, want 1 to %d", s.Size, MaxSize)
	case s.Depth < 1 || s.Depth > MaxDepth:
		return fmt.Errorf("load: %d requests in flight, want 1 to %d", s.Depth, MaxDepth)
	case s.Duration <= 0 || s.Duration > MaxDuration || s.Warmup < 0 || s.Warmup > MaxDuration:
		return fmt.Errorf("load: %v after %v, want more than 0 and at most %v", s.Duration, s.Warmup, MaxDuration)
	case s.Rate < 0:
		return fmt.Errorf("load: %v requests per second, want 0 or more", s.Rate)
	case s.Network == "udp" && s.Size > maxDatagram:
		return fmt.Errorf("load: datagrams of %d bytes, want at most %d", s.Size, maxDatagram)
	case s.Network == "udp" && s.Size < numberSize && s.Depth > 1:
		return fmt.Errorf("load: %d datagrams of %d bytes in flight: they are too small for a number, want 1", s.Depth, s.Size)
	case s.Mode == Stream && (s.Depth > maxSegments || s.Depth*s.Size > maxDatagram):
		return fmt.Errorf("load: %d segments of %d bytes at once, want at most %d and %d bytes in all",
			s.Depth, s.Size, maxSegments, maxDatagram)
	case s.calls() && s.Size > chunk/4:
		return fmt.Errorf("load: %d bytes on each connection, want at most %d", s.Size, chunk/4)
	case s.calls() && s.Depth > 1:
		return fmt.Errorf("load: %d requests in flight, want 1: each connection asks once", s.Depth)
	case s.Mode == Echo && s.Network == "udp" && s.Rate > 0 && s.Size < numberSize:
		return fmt.Errorf("load: an open loop of datagrams of %d bytes: they are too small for a number, want %d or more",
			s.Size, numberSize)
	case s.Mode == Echo && s.Network == "udp" && s.Rate > 0 && s.Depth > 1:
		return fmt.Errorf("load: %d datagrams in flight, want 1: in an open loop each leaves when it is due, whatever is in flight",
			s.Depth)
	}
	return s.checkMode()
}

// calls reports whether each connection asks once.
func (s *Spec) calls() bool { return s.Mode == Connect || s.Mode == Handshake }

func (s *Spec) checkMode() error {
	stream := s.Network == "tcp" || s.Network == "unix"
	switch {
	case s.Rate > 0 && s.Mode == Idle:
		return fmt.Errorf("load: connections that are idle ask for nothing: want no rate")
	case s.Rate > 0 && s.Mode == Stream:
		return fmt.Errorf("load: an open loop of datagrams that leave together: want no rate, or one of single datagrams")
	case s.Mode == Echo && (stream || s.Network == "tls" || s.Network == "udp"),
		(s.Mode == Slow || s.Mode == Idle) && stream,
		s.Mode == Connect && s.Network == "tcp",
		s.Mode == HTTP && s.Network == "tcp",
		s.Mode == Handshake && s.Network == "tls",
		s.Mode == Stream && s.Network == "udp":
		return nil
	}
	return fmt.Errorf("load: no mode %q over %q", s.Mode, s.Network)
}

// A Result is what a load has seen in the measured time.
type Result struct {
	Requests uint64        // answered
	Bytes    uint64        // received
	Bad      uint64        // bytes that were wrong, missing at the end, or not asked for
	Lost     uint64        // datagrams that were not answered in time
	Elapsed  time.Duration // measured
	Began    time.Duration // when that did, by [Monotonic]; 0 if that is not known
	CPU      time.Duration // of the load's own process, user and system, meanwhile

	// Latency is counted from the sending of a request, in ns. Corrected is there
	// in an open loop: it counts from when the request was due, and has the
	// requests that were never answered, with the age that they had at the end.
	// Datagrams that were lost are in neither.
	Latency, Corrected *result.Histogram
}
