package compat

import "time"

// An Action is what an [EventHandler] wants to happen after it has returned.
type Action int

const (
	// None means that nothing is to happen.
	None Action = iota

	// Close closes the connection, after what was written to it is sent.
	Close

	// Shutdown ends the engine, as [Engine.Stop] does.
	Shutdown
)

// An EventHandler is told what happens to an engine and its connections.
// [BuiltinEventEngine] has all of its methods, to be embedded.
type EventHandler interface {
	// OnBoot is called once, by Run, when the addresses are bound and before
	// anything is accepted. Shutdown makes Run return nil at once.
	OnBoot(eng Engine) (action Action)

	// OnShutdown is called once, by Run, when all connections and loops have
	// ended.
	OnShutdown(eng Engine)

	// OnOpen is called when there is a new connection. out is written to it.
	OnOpen(c Conn) (out []byte, action Action)

	// OnClose is called once for each OnOpen, and for each UDP connection of a
	// Client (which has no OnOpen), when the connection has ended. err
	// is nil if this side closed it, io.EOF if the peer did, and else an error
	// that unwraps to its cause: a syscall.Errno, os.ErrDeadlineExceeded. What
	// was received can still be read.
	OnClose(c Conn, err error) (action Action)

	// OnTraffic is called when something was received, a datagram for example,
	// and after a Wake. What it leaves unread it finds again the next time; of a
	// datagram nothing is left.
	OnTraffic(c Conn) (action Action)

	// OnTick is called on the first loop when the engine starts, and again after
	// each delay, of a millisecond at least. See [WithTicker]. It must not
	// block.
	OnTick() (delay time.Duration, action Action)
}

// A HalfCloser is an [EventHandler] whose connections go on when the peer has
// finished writing, as after a CloseWrite. The connections of others are closed
// then, when what was written is sent.
type HalfCloser interface {
	// OnHalfClose is called once when the peer has finished. Close closes the
	// connection; otherwise it lives until it is closed, as long as what is
	// written to it moves: [WithHalfClosedTimeout].
	OnHalfClose(c Conn) (action Action)
}

// A Pacer is an [EventHandler] that wants to know when to stop and to go on
// writing to a connection whose peer is slow. The calls alternate.
type Pacer interface {
	// OnFull is called, inside the write that does it, when more than
	// [WithWriteBufferCap] bytes wait to be sent.
	OnFull(c Conn)

	// OnDrained is called when a quarter of that is left.
	OnDrained(c Conn)
}

// A BuiltinEventEngine is an [EventHandler] that does nothing, to be embedded.
type BuiltinEventEngine struct{}

// OnBoot does nothing.
func (*BuiltinEventEngine) OnBoot(Engine) (action Action) { return }

// OnShutdown does nothing.
func (*BuiltinEventEngine) OnShutdown(Engine) {}

// OnOpen does nothing.
func (*BuiltinEventEngine) OnOpen(Conn) (out []byte, action Action) { return }

// OnClose does nothing.
func (*BuiltinEventEngine) OnClose(Conn, error) (action Action) { return }

// OnTraffic does nothing: what is received stays unread.
func (*BuiltinEventEngine) OnTraffic(Conn) (action Action) { return }

// OnTick does nothing.
func (*BuiltinEventEngine) OnTick() (delay time.Duration, action Action) { return }

var _ EventHandler = (*BuiltinEventEngine)(nil)
