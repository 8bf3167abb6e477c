package endpoint

import (
	"strconv"
	"time"

	"mobius"
	"mobius/proactor"
)

// connectOptions takes the arguments that all clients have.
func connectOptions(a *Arguments, tcp bool) mobius.ConnectOptions {
	o := mobius.ConnectOptions{ConnectTimeout: a.durationOrNo("timeout"), Transport: transportOptions(a)}
	if tcp {
		o.AttemptDelay = a.durationOrNo("attemptDelay")
		o.Local = a.Address("bindAddress")
	}
	o.Socket = filled(socketOptions(a, tcp))
	return o
}

// withConnect describes what connectOptions reads.
func withConnect(d Description, o *mobius.ConnectOptions) Description {
	d = withTime(d, "timeout", o.ConnectTimeout)
	d = withTime(d, "attemptDelay", o.AttemptDelay)
	if o.Local.IsValid() && !o.Local.IsUnix() {
		d = d.With("bindAddress", o.Local.String())
	}
	return withTransport(withSocket(d, o.Socket), o.Transport)
}

// listenOptions takes the arguments that all servers have.
func listenOptions(a *Arguments, tcp bool) mobius.ListenOptions {
	s := socketOptions(a, tcp)
	o := mobius.ListenOptions{Transport: transportOptions(a)}
	if tcp {
		o.ReusePort = a.Bool("reusePort", false)
		s.V6Only = a.position("v6Only")
	}
	s.Backlog = a.Int("backlog", 10, 0)
	o.Socket = filled(s)
	return o
}

// withListen describes what listenOptions reads.
func withListen(d Description, o *mobius.ListenOptions) Description {
	if o.ReusePort {
		d = d.With("reusePort", "yes")
	}
	if s := o.Socket; s != nil {
		d = withNumber(d, "backlog", s.Backlog)
		switch s.V6Only {
		case proactor.On:
			d = d.With("v6Only", "yes")
		case proactor.Off:
			d = d.With("v6Only", "no")
		}
	}
	return withTransport(withSocket(d, o.Socket), o.Transport)
}

// socketOptions takes the arguments of sockets.
func socketOptions(a *Arguments, tcp bool) mobius.SocketOptions {
	var o mobius.SocketOptions
	if tcp {
		if !a.Bool("noDelay", true) {
			o.Delay = proactor.On
		}
		o.KeepAlive = a.durationOrNo("keepAlive")
		o.KeepAliveInterval = a.Duration("keepAliveInterval")
		o.KeepAliveCount = a.Int("keepAliveCount", 10, 0)
		o.UserTimeout = a.Duration("userTimeout")
		o.NotSentLowat = a.Int("notSentLowat", 10, 0)
		o.FreeBind = a.Bool("freeBind", false)
	}
	o.SendBuffer = a.Int("sendBuffer", 10, 0)
	o.RecvBuffer = a.Int("recvBuffer", 10, 0)
	if err := o.Check(); err != nil {
		a.fail("%w", err)
	}
	return o
}

func withSocket(d Description, o *mobius.SocketOptions) Description {
	if o == nil {
		return d
	}
	if o.Delay == proactor.On {
		d = d.With("noDelay", "no")
	}
	d = withTime(d, "keepAlive", o.KeepAlive)
	d = withTime(d, "keepAliveInterval", o.KeepAliveInterval)
	d = withNumber(d, "keepAliveCount", o.KeepAliveCount)
	d = withTime(d, "userTimeout", o.UserTimeout)
	d = withNumber(d, "notSentLowat", o.NotSentLowat)
	if o.FreeBind {
		d = d.With("freeBind", "yes")
	}
	d = withNumber(d, "sendBuffer", o.SendBuffer)
	return withNumber(d, "recvBuffer", o.RecvBuffer)
}

// transportOptions takes the arguments of connections.
func transportOptions(a *Arguments) *mobius.TransportOptions {
	o := mobius.TransportOptions{
		HighWater: a.Int("highWater", 10, 0), LowWater: a.Int("lowWater", 10, 0), HardLimit: a.Int("hardLimit", 10, 0),
		CloseTimeout: a.durationOrNo("closeTimeout"), HalfClosedTimeout: a.durationOrNo("halfClosedTimeout"),
		IdleTimeout: a.durationOrNo("idleTimeout"), ZeroCopyFrom: a.Int("zeroCopyFrom", 10, 0),
	}
	if _, ok := a.Lookup("lowWater"); ok && o.LowWater == 0 {
		o.LowWater = -1 // 0 is the default
	}
	return filled(o)
}

func withTransport(d Description, o *mobius.TransportOptions) Description {
	if o == nil {
		return d
	}
	d = withNumber(d, "highWater", o.HighWater)
	if o.LowWater < 0 {
		d = d.With("lowWater", "0")
	}
	d = withNumber(d, "lowWater", o.LowWater)
	d = withNumber(d, "hardLimit", o.HardLimit)
	d = withTime(d, "closeTimeout", o.CloseTimeout)
	d = withTime(d, "halfClosedTimeout", o.HalfClosedTimeout)
	d = withTime(d, "idleTimeout", o.IdleTimeout)
	return withNumber(d, "zeroCopyFrom", o.ZeroCopyFrom)
}

// filled returns nil for options of which none is set.
func filled[T comparable](o T) *T {
	var none T
	if o == none {
		return nil
	}
	return &o
}

// withTime describes a time; a negative one means that there is none.
func withTime(d Description, name string, t time.Duration) Description {
	switch {
	case t == 0:
		return d
	case t < 0:
		return d.With(name, "no")
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
