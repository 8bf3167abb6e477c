// Package tls puts TLS on a stream transport, from its start ([Wrap]) or in
// the middle of the stream ([Start]). Cryptography is crypto/tls, unmodified.
//
// A [Conn] is a layer: it stands between the transport that it was put on and
// the protocol that was there. Toward the protocol it keeps every promise of
// [transport.Transport]; what differs is said at Conn.
//
// The handshake of crypto/tls blocks, so it has a goroutine of its own, from
// the peer's first byte (a client: from the start) to its end. It computes
// only while the loop has an operation of kind Work for it, and stands still
// while it waits for bytes: so thousands of peers that say nothing take
// neither a thread nor a place of Options.MaxComputing from one that does. (The
// goroutine hands over by channels and not as an iter.Pull coroutine, which
// may only be resumed with the thread locked, or not, as it was made.)
//
// After the handshake there is no goroutine. Records are opened inside the
// DataReceived that completes them, and what was written is sealed at the end
// of it, or of the loop's turn, in as few records as will hold it. That works
// because the net.Conn below crypto/tls answers "no bytes now" with a
// net.Error whose Temporary method says true, after which a tls.Conn can go
// on; and because it is given a record only once that is complete. A write
// error is for ever there, so there is room in the transport's queue before
// anything is sealed.
package tls
