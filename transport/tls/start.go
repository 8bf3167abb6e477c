package tls

import (
	"crypto/tls"

	"mobius/transport"
)

// Start puts TLS on t and begins the handshake (Twisted's
// ITLSTransport.startTLS). It may be called at any moment at which both
// directions are open, in ConnectionMade or in the middle of the stream, on
// either end of the connection for either side.
//
// What was written before goes out in clear, what is written afterwards is
// encrypted, whether by the Conn that is returned or by t or a wrapper of it:
// they reach the same. What the peer sends from now on is TLS. Bytes of the
// DataReceived under way that belong to it already are given as received; they
// are copied. (A protocol that turns to TLS on a command should have nothing
// left over from before it: plaintext that came with the command is an
// attacker's attempt to have it taken for what came later. Given as received
// it makes the handshake fail.)
//
// The protocol stays: ConnectionMade is not called again, HandshakeCompleted
// is if it is a [HandshakeListener]. A pause of reading stays in force for
// what it gets; the handshake is not hindered by it.
//
// config is shared and must not be changed any more. Its callbacks run on
// other goroutines than the loop's and should not take long; see
// Options.MaxComputing. o may be nil. The error is what [Check] says,
// [ErrCannot], or transport.ErrNotWritable; then nothing has changed. Loop
// goroutine.
func Start(t transport.Transport, config *tls.Config, side Side, received []byte, o *Options) (*Conn, error) {
	if err := Check(config, side); err != nil {
		return nil, err
	}
	u, ok := transport.As[transport.Upgrader](t)
	if !ok {
		return nil, ErrCannot
	}
	y := &layer{l: t.Loop(), pool: poolOf(t.Loop()), o: o, side: side}
	y.front = Conn{Transport: y, y: y}
	up, err := u.Upgrade(&y.front, (*lower)(y))
	if err != nil {
		return nil, err
	}
	y.begin(&up, config, received)
	return &y.front, nil
}

// begin begins the handshake on what Upgrade has returned.
func (y *layer) begin(up *transport.Upgraded, config *tls.Config, received []byte) {
	y.below, y.marks = up.Below, up.Options
	y.queue, _ = up.Below.(transport.Queuer)
	y.setUpper(up.Above)
	e := (*lowerEvents)(y)
	y.timer.Owner, y.flush.Owner = e, e
	if up.Paused {
		y.flags |= paused
	}
	if up.Full {
		y.flags |= full | belowFull
	}
	y.hs = newHandshake(y)
	y.wire = wire{y: y, hs: y.hs, local: y.below.LocalAddr(), remote: y.below.RemoteAddr()}
	if y.side == Client {
		y.tc = tls.Client(&y.wire, config)
	} else {
		y.tc = tls.Server(&y.wire, config)
	}
	stats := &y.pool.stats
	stats.InProgress++
	if stats.InProgress > y.o.maxHandshakes() {
		stats.Refused++
		stats.Failed-- // abort counts it
		y.abort(transport.Refused, "handshake", ErrTooManyHandshakes)
		return
	}
	y.arm(y.o.handshakeTimeout())
	if len(received) > 0 {
		y.hs.more = append(y.hs.more, received...)
	}
	y.hs.poke()
}
