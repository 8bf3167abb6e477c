package fake

import (
	"net"

	"mobius"
	"mobius/loop"
	"mobius/proactor"
)

// Write keeps a copy of b.
func (t *Transport) Write(b []byte) (int, error) {
	if err := t.notWritable(); err != nil {
		return 0, err
	}
	t.wrote = append(t.wrote, b...)
	return len(b), nil
}

// Writev keeps copies of bufs.
func (t *Transport) Writev(bufs [][]byte) (int, error) {
	if err := t.notWritable(); err != nil {
		return 0, err
	}
	n := 0
	for _, b := range bufs {
		t.wrote = append(t.wrote, b...)
		n += len(b)
	}
	return n, nil
}

// WriteOwned keeps a copy of buf, and releases it.
func (t *Transport) WriteOwned(buf []byte, release func()) error {
	if release != nil {
		defer release()
	}
	_, err := t.Write(buf)
	return err
}

// LoseConnection notes that the close was asked for: End brings it about.
func (t *Transport) LoseConnection() { t.lose(nil) }

// CloseWithError is LoseConnection with a reason.
func (t *Transport) CloseWithError(err error) { t.lose(err) }

// LoseWriteConnection notes that the end of the output was asked for. A
// HalfCloser is told by the next Advance of the clock.
func (t *Transport) LoseWriteConnection() {
	if t.phase == open {
		t.phase, t.shut = halfClosed, true
		t.Loop().AtTurnEnd(&t.flush)
	}
}

// AbortConnection notes that a reset was asked for: End brings it about.
func (t *Transport) AbortConnection() { t.ask(aborted, mobius.Aborted, "abort", net.ErrClosed) }

// PauseReading keeps what is received until ResumeReading. Once the close was
// asked for it is misuse.
func (t *Transport) PauseReading() { t.pause(true, "PauseReading") }

// ResumeReading lets DataReceived go on, not before the next Advance of the
// clock. Once the close was asked for it is misuse.
func (t *Transport) ResumeReading() { t.pause(false, "ResumeReading") }

func (t *Transport) pause(paused bool, call string) {
	if t.phase >= closing {
		misuse(t.Fail, "%s of a transport whose close was asked for", call)
		return
	}
	t.paused = paused
	if !paused {
		t.Loop().AtTurnEnd(&t.flush)
	}
}

// Detach is refused with [ErrDetach].
func (t *Transport) Detach(func(h proactor.Handle, unread []byte, err error)) error { return ErrDetach }

// LocalAddr returns Local.
func (t *Transport) LocalAddr() mobius.Address { return t.Local }

// RemoteAddr returns Remote.
func (t *Transport) RemoteAddr() mobius.Address { return t.Remote }

// Handle returns the handle that names nothing.
func (t *Transport) Handle() proactor.Handle { return 0 }

// Loop returns the loop that lives by the clock.
func (t *Transport) Loop() *loop.Loop { return t.clock.Loop() }

var _ mobius.Transport = (*Transport)(nil)
