package proxy

// A Filter decides whether a client is served: limits, allow lists, and what
// must be read before anything else (a TLS hello's server name, a PROXY header).
type Filter interface {
	// Accept calls [Session.Admit] or [Session.Refuse], once, at once or later
	// on the session's loop. Until then it may use ops of its own on
	// [Session.Client]; none may be active when it calls. It has
	// [Options.AcceptTimeout]: then Session.Expired tells that it is over and
	// what it says is ignored, but it must still say it, with its ops ended.
	Accept(s *Session)
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

// An AdmitAll is the Filter that serves everybody.
type AdmitAll struct{}

// Accept admits s.
func (AdmitAll) Accept(s *Session) { s.Admit(nil) }

// A ReporterFunc is a function as a Reporter.
type ReporterFunc func(r *Report)

// Closed calls f.
func (f ReporterFunc) Closed(r *Report) { f(r) }
