package endpoint

import (
	"strconv"
	"time"

	"mobius"
	"mobius/proactor"
)

// connectOptions takes the arguments that all clients have.
func connectOptions(a *Arguments, tcp bool) mobius.ConnectOptions {
	o := mobius.ConnectOptions{ConnectTimeout: a.Duration("timeout")}
	if tcp {
		o.AttemptDelay = a.Duration("attemptDelay")
		o.Local = a.Address("bindAddress")
	}
	o.Socket = socketOptions(a, tcp)
	return o
}

// withConnect describes what connectOptions reads.
func withConnect(d Description, o *mobius.ConnectOptions) Description {
	d = withTime(d, "timeout", o.ConnectTimeout)
	d = withTime(d, "attemptDelay", o.AttemptDelay)
	if o.Local.IsValid() && !o.Local.IsUnix() {
		d = d.With("bindAddress", o.Local.String())
	}
	return withSocket(d, o.Socket)
}

// listenOptions takes the arguments that all servers have.
func listenOptions(a *Arguments, tcp bool) mobius.ListenOptions {
	o := mobius.ListenOptions{Socket: socketOptions(a, tcp)}
	if tcp {
		o.ReusePort = a.Bool("reusePort", false)
	}
	if n := a.Int("backlog", 10, 0); n > 0 {
		o.Socket = orNew(o.Socket)
		o.Socket.Backlog = n
	}
	return o
}

// withListen describes what listenOptions reads.
func withListen(d Description, o *mobius.ListenOptions) Description {
	if o.ReusePort {
		d = d.With("reusePort", "yes")
	}
	if o.Socket != nil && o.Socket.Backlog > 0 {
		d = d.With("backlog", strconv.Itoa(o.Socket.Backlog))
	}
	return withSocket(d, o.Socket)
}

// socketOptions takes the arguments of sockets, and returns nil if there is
// none.
func socketOptions(a *Arguments, tcp bool) *mobius.SocketOptions {
	var o mobius.SocketOptions
	if tcp {
		if !a.Bool("noDelay", true) {
			o.Delay = proactor.On
		}
		o.KeepAlive = a.Duration("keepAlive")
		o.UserTimeout = a.Duration("userTimeout")
	}
	o.SendBuffer = a.Int("sendBuffer", 10, 0)
	o.RecvBuffer = a.Int("recvBuffer", 10, 0)
	if o == (mobius.SocketOptions{}) {
		return nil
	}
	return &o
}

func withSocket(d Description, o *mobius.SocketOptions) Description {
	if o == nil {
		return d
	}
	if o.Delay == proactor.On {
		d = d.With("noDelay", "no")
	}
	d = withTime(d, "keepAlive", o.KeepAlive)
	d = withTime(d, "userTimeout", o.UserTimeout)
	d = withNumber(d, "sendBuffer", o.SendBuffer)
	return withNumber(d, "recvBuffer", o.RecvBuffer)
}

func withTime(d Description, name string, t time.Duration) Description {
	if t <= 0 {
		return d
	}
	return d.With(name, t.String())
}

func withNumber(d Description, name string, n int) Description {
	if n <= 0 {
		return d
	}
	return d.With(name, strconv.Itoa(n))
}

func orNew(o *mobius.SocketOptions) *mobius.SocketOptions {
	if o == nil {
		return &mobius.SocketOptions{}
	}
	return o
}
