package policies

import "mobius"

// A Wrapper stands between a transport and a protocol, passes everything on,
// and tells its hooks, each of which may be nil. The protocol is given a
// transport of the wrapper's. (Twisted: ProtocolWrapper.)
//
// The hooks are called on the goroutine of the connection's loop.
type Wrapper struct {
	Protocol mobius.Protocol // what is wrapped

	Made     func(t mobius.Transport) // before the protocol's ConnectionMade; t is the transport below
	Received func(p []byte)           // before its DataReceived; p is lent until the hook returns
	Written  func(p []byte)           // after a write of p, not empty, that was taken; p is lent in the same way
	Lost     func(err error)          // after its ConnectionLost, also if that panics

	front front
}

// ConnectionMade gives the protocol the wrapper's transport.
func (w *Wrapper) ConnectionMade(t mobius.Transport) {
	w.front = front{Transport: t, w: w}
	if w.Made != nil {
		w.Made(t)
	}
	w.Protocol.ConnectionMade(&w.front)
}

// DataReceived passes p on.
func (w *Wrapper) DataReceived(p []byte) {
	if w.Received != nil {
		w.Received(p)
	}
	w.Protocol.DataReceived(p)
}

// ConnectionLost passes err on.
func (w *Wrapper) ConnectionLost(err error) {
	if w.Lost != nil {
		defer w.Lost(err)
	}
	w.Protocol.ConnectionLost(err)
}

// Unwrap returns the protocol, for mobius.As: so that its further abilities are
// the wrapper's.
func (w *Wrapper) Unwrap() any { return w.Protocol }

// A front is the transport as the protocol of a wrapper has it.
type front struct {
	mobius.Transport
	w *Wrapper
}

// Unwrap returns the transport below, for mobius.As.
func (f *front) Unwrap() any { return f.Transport }

// Write passes p on.
func (f *front) Write(p []byte) (int, error) {
	n, err := f.Transport.Write(p)
	f.written(p, err)
	return n, err
}

// Writev passes bufs on.
func (f *front) Writev(bufs [][]byte) (int, error) {
	n, err := f.Transport.Writev(bufs)
	for _, b := range bufs {
		f.written(b, err)
	}
	return n, err
}

// WriteOwned passes buf on. A transport may be done with it before it returns;
// the release then waits for the hook.
func (f *front) WriteOwned(buf []byte, release func()) error {
	if f.w.Written == nil || release == nil {
		err := f.Transport.WriteOwned(buf, release)
		f.written(buf, err)
		return err
	}
	inside, released := true, false
	err := f.Transport.WriteOwned(buf, func() {
		if released = true; !inside {
			release()
		}
	})
	inside = false
	f.written(buf, err)
	if released {
		release()
	}
	return err
}

func (f *front) written(buf []byte, err error) {
	if err == nil && f.w.Written != nil && len(buf) > 0 {
		f.w.Written(buf)
	}
}
