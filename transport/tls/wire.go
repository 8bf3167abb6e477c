package tls

import (
	"net"
	"time"

	"mobius/proactor"
)

const (
	headerLen = 5                // RFC 8446, section 5.1
	maxRecord = 5 + 16384 + 2048 // RFC 5246, section 6.2.3; a larger one is for crypto/tls to refuse
	maxPlain  = 16384            // of one record
)

// recordLen returns the length of the record at the beginning of p, its
// header included, 0 if p is too short to tell. One that is longer than any
// record may be counts as complete with its header: it need not be waited for.
func recordLen(p []byte) int {
	if len(p) < headerLen {
		return 0
	}
	n := headerLen + int(p[3])<<8 + int(p[4])
	if n > maxRecord {
		return headerLen
	}
	return n
}

// A wire is the net.Conn below crypto/tls. Deadlines are the loop's timers, until
// another net.Conn takes over.
type wire struct {
	y             *layer
	hs            *handshake // as long as there is one
	in            []byte     // after that: the record that may be read
	under         net.Conn   // after HandOff: where what follows comes from and goes to
	local, remote proactor.Address
}

// Read hands out ciphertext, of one record at a time, so that crypto/tls has
// nothing left over when a record was read. After the handshake it does not
// block.
func (w *wire) Read(p []byte) (int, error) {
	if w.hs != nil {
		return w.hs.read(p)
	}
	if len(w.in) == 0 {
		if w.under != nil {
			return w.under.Read(p)
		}
		return 0, wait{}
	}
	n := copy(p, w.in)
	w.in = w.in[n:]
	return n, nil
}

// Write takes ciphertext: a copy of it.
func (w *wire) Write(p []byte) (int, error) {
	if w.hs != nil {
		w.hs.out = append(w.hs.out, p...)
		return len(p), nil
	}
	if w.under != nil {
		return w.under.Write(p)
	}
	return w.y.below.Write(p)
}

// Close does nothing: the layer closes the transport.
func (w *wire) Close() error {
	if w.under != nil {
		return w.under.Close()
	}
	return nil
}

// LocalAddr returns this side's address.
func (w *wire) LocalAddr() net.Addr {
	if w.under != nil {
		return w.under.LocalAddr()
	}
	return w.local
}

// RemoteAddr returns the peer's address.
func (w *wire) RemoteAddr() net.Addr {
	if w.under != nil {
		return w.under.RemoteAddr()
	}
	return w.remote
}

// SetDeadline does nothing before another net.Conn takes over.
func (w *wire) SetDeadline(t time.Time) error {
	if w.under != nil {
		return w.under.SetDeadline(t)
	}
	return nil
}

// SetReadDeadline does nothing before another net.Conn takes over.
func (w *wire) SetReadDeadline(t time.Time) error {
	if w.under != nil {
		return w.under.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline does nothing before another net.Conn takes over.
func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.under != nil {
		return w.under.SetWriteDeadline(t)
	}
	return nil
}
