package proxy

// A Filter decides whether a client is served: limits, allow lists, and what
// must be read before anything else (a TLS hello's server name, a PROXY
// header). A [FilterFunc] is one that decides at once.
type Filter interface {
	// Accept ends in one call of [Session.Admit] or [Session.Refuse], at once
	// or later on the session's loop. Until then it may use ops of its own on
	// [Session.Client]; none may be active when it calls.
	Accept(s *Session)

	// Cancel asks an Accept that has not ended for an early end, because
	// Options.AcceptTimeout is over or the proxy stops. What it says is ignored,
	// but it must say it, with its ops ended.
	Cancel(s *Session)
}

// A Router chooses where a session's next attempt to connect goes.
type Router interface {
	// Route returns an upstream that s has not tried yet, or nil if there is
	// none: the client is then refused. It is called on the session's loop,
	// from several loops at once if the proxy has several.
	Route(s *Session) *Upstream
}

// A Dialer connects to a session's upstream. [Direct] is the usual one; others
// wrap it, to send a header first, say.
type Dialer interface {
	// Dial starts to connect to [Session.Upstream]. It ends in one call of
	// [Session.Connected] or [Session.DialFailed], at once or later on the
	// session's loop.
	Dial(s *Session)

	// Cancel asks a Dial that has not ended for an early end; its result may
	// still be either.
	Cancel(s *Session)
}

// A Reporter is told of each session's end.
type Reporter interface {
	// Closed runs on the session's loop, from several loops at once if the proxy
	// has several, after both descriptors are closed. It must not block.
	Closed(r *Report)
}

// A FilterFunc is a function as a Filter: nil admits, an error refuses.
type FilterFunc func(s *Session) error

// Accept calls f.
func (f FilterFunc) Accept(s *Session) {
	if err := f(s); err != nil {
		s.Refuse(err)
		return
	}
	s.Admit(nil)
}

// Cancel does nothing: f decides at once.
func (f FilterFunc) Cancel(*Session) {}

// AdmitAll returns the Filter that serves everybody.
func AdmitAll() Filter { return FilterFunc(func(*Session) error { return nil }) }

// A ReporterFunc is a function as a Reporter.
type ReporterFunc func(r *Report)

// Closed calls f.
func (f ReporterFunc) Closed(r *Report) { f(r) }
