package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"mobius"
	"mobius/proactor"
	"mobius/proxy"
)

const proxySynopsis = `proxy [--listen URL]… [--to URL]… [--backend NAME] [--loops N] [--status ADDR]

Forward every connection to one of the upstreams, in turn. A URL is
tcp://HOST:PORT, tls://HOST:PORT or unix:///PATH (unix://@NAME for an abstract
socket). tls:// as --listen terminates TLS, as --to it speaks TLS to the
upstream; either side may, or both. What comes to udp://HOST:PORT goes to the
upstreams that are udp://, from a socket for each client. Without --to a small
web server inside is the upstream, to see it work at once.`

// A proxyFlags is what the proxy command was told.
type proxyFlags struct {
	reactorFlags
	certificateFlags
	upstreamFlags
	packetFlags
	listen, to list
	options    proxy.Options
	accessLog  bool
	streams    struct{ froms, tos []endpoint }
	layer      proxy.Layer   // of tls:// listeners
	layers     []proxy.Layer // of streams.tos, nil for those that are not tls://
}

func parseProxyFlags(args []string, out io.Writer) (*proxyFlags, error) {
	f := &proxyFlags{}
	set := flag.NewFlagSet("proxy", flag.ContinueOnError)
	set.Var(&f.listen, "listen", "accept connections on `URL`; may be repeated (default tcp://127.0.0.1:8080)")
	set.Var(&f.to, "to", "forward to `URL`; may be repeated, then connections take turns and an\nupstream that is down is left out")
	f.certificateFlags.register(set)
	f.upstreamFlags.register(set)
	f.reactorFlags.register(set)
	o := &f.options
	set.DurationVar(&o.ConnectTimeout, "connect-timeout", proxy.DefaultConnectTimeout,
		"give up an attempt to connect to an upstream after this long")
	set.DurationVar(&o.IdleTimeout, "idle-timeout", proxy.DefaultIdleTimeout,
		"cut connections on which nothing moved either way for this long; 0 is never")
	set.DurationVar(&o.HalfClosedTimeout, "half-closed-timeout", proxy.DefaultHalfClosedTimeout,
		"once one side has ended its stream, cut the connection when the other\nhas moved nothing for this long; 0 is never")
	set.IntVar(&o.MaxSessions, "clients", 0,
		"serve at most `N` connections at a time, each of which takes two\n"+
			"descriptors, and no more of these than three quarters of what there may\n"+
			"be (ulimit -n); others are reset and counted (default: as many as that)")
	set.BoolVar(&o.ReusePort, "reuseport", false, "with several loops: a listening socket for each (SO_REUSEPORT)")
	set.BoolVar(&f.accessLog, "access-log", false, "write a line per connection that ended, and per client of udp://")
	f.packetFlags.register(set)
	if err := parseFlags(set, proxySynopsis, args, out); err != nil {
		return nil, err
	}
	return f, f.check()
}

func (f *proxyFlags) check() (err error) {
	if err := f.reactorFlags.check(); err != nil {
		return err
	}
	o := &f.options
	for name, d := range map[string]*time.Duration{"idle-timeout": &o.IdleTimeout, "half-closed-timeout": &o.HalfClosedTimeout} {
		if *d < 0 {
			return usagef("--%s is %v, want 0 or more", name, *d)
		}
		if *d == 0 {
			*d = -1
		}
	}
	if o.MaxSessions < 0 {
		return usagef("--clients is %d, want 1 or more, or 0 for as many as there are descriptors for", o.MaxSessions)
	}
	if o.ConnectTimeout <= 0 {
		return usagef("--connect-timeout is %v, want more than 0", o.ConnectTimeout)
	}
	if len(f.listen) == 0 {
		f.listen = list{"tcp://127.0.0.1:8080"}
	}
	if len(f.to) > proxy.MaxUpstreams {
		return usagef("%d --to, want at most %d", len(f.to), proxy.MaxUpstreams)
	}
	froms, err := parseURLs("--listen", f.listen, false)
	if err != nil {
		return err
	}
	tos, err := parseURLs("--to", f.to, true)
	if err != nil {
		return err
	}
	if err := refuseCircle(froms, tos); err != nil {
		return err
	}
	f.streams.froms, f.packetFlags.froms = apart(froms)
	f.streams.tos, f.packetFlags.tos = apart(tos)
	if err := f.packetFlags.check(); err != nil {
		return err
	}
	return f.checkStreams()
}

// refuseCircle refuses upstreams that are the program's own listeners: the first
// client would take all descriptors.
func refuseCircle(froms, tos []endpoint) error {
	for i := range tos {
		for j := range froms {
			if tos[i].meets(&froms[j]) {
				return usagef("--to %q goes round in a circle: it is what --listen %q accepts; give the address of another server",
					tos[i].text, froms[j].text)
			}
		}
	}
	return nil
}

// checkStreams refuses streams that would go nowhere, or come from nowhere, and
// makes the layers.
func (f *proxyFlags) checkStreams() error {
	s := &f.streams
	switch {
	case len(s.froms) > 0 && len(s.tos) == 0 && len(f.to) > 0:
		return usagef("--listen %q has nowhere to go: give --to tcp://HOST:PORT, tls://HOST:PORT or unix:///PATH", s.froms[0].text)
	case len(s.tos) > 0 && len(s.froms) == 0:
		return usagef("--to %q has nobody to come from: give --listen tcp://HOST:PORT, tls://HOST:PORT or unix:///PATH", s.tos[0].text)
	}
	return f.secure()
}

// secure makes the layers.
func (f *proxyFlags) secure() error {
	config, err := f.certificateFlags.config(f.streams.froms)
	if err != nil {
		return err
	}
	if config != nil {
		if f.layer, err = proxy.TLSServer(config, tlsOptions()); err != nil {
			return usagef("--cert %q: %w", f.cert, err)
		}
	}
	configs, err := f.upstreamFlags.configs(f.streams.tos)
	if err != nil {
		return err
	}
	f.layers = make([]proxy.Layer, len(configs))
	for i, config := range configs {
		if config == nil {
			continue
		}
		if f.layers[i], err = proxy.TLSClient(config, nil); err != nil {
			return usagef("--to %q: %w", f.streams.tos[i].text, err)
		}
	}
	return nil
}

func parseURLs(flag string, texts []string, dial bool) ([]endpoint, error) {
	var all []endpoint
	for _, text := range texts {
		e, err := parseURL(flag, text, dial)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// A running is what serves: each is nil unless it is asked for.
type running struct {
	f       *proxyFlags
	streams *proxy.Proxy
	packets *proxy.Datagrams
	demo    *demo
}

// runProxy is the command.
func runProxy(args []string, out, log io.Writer) error {
	f, err := parseProxyFlags(args, out)
	if err != nil {
		return err
	}
	n := &running{f: f}
	if len(f.to) == 0 {
		if n.demo, err = newDemo(); err != nil {
			return err
		}
		defer n.demo.close()
		f.streams.tos, f.layers = []endpoint{{scheme: "tcp", addr: n.demo.addr()}}, make([]proxy.Layer, 1)
	}
	r, err := newReactor(&f.reactorFlags, log)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := n.listen(r, log); err != nil {
		return err
	}
	where := ""
	if f.status != "" {
		s, err := serveStatus(f.status, func(v *snapshot) {
			v.setReactor("proxy", r)
			n.fill(v)
		})
		if err != nil {
			return err
		}
		defer s.close()
		where = s.addr
	}
	n.announce(out, r, where)
	return serve(r, &f.reactorFlags, out, n.shutdown)
}

// listen makes what is asked for.
func (n *running) listen(r *mobius.Reactor, log io.Writer) (err error) {
	var access io.Writer
	if n.f.accessLog {
		access = log
	}
	n.f.leaveDescriptors(descriptorLimit(), lineLogger(log))
	if len(n.f.streams.froms) > 0 {
		if n.streams, err = n.f.newProxy(r, log); err != nil {
			return err
		}
	}
	n.packets, err = n.f.packetFlags.start(r, n.f.options.ReusePort, log, access)
	return err
}

func (n *running) fill(v *snapshot) {
	if n.streams != nil {
		now := n.streams.Status()
		v.Proxy = &now
	}
	if n.packets != nil {
		now := n.packets.Status()
		v.Datagrams = &now
	}
}

func (n *running) shutdown(ctx context.Context) error {
	var all []func(context.Context) error
	if n.demo != nil {
		go n.demo.server.Shutdown(ctx) // its idle connections would keep the proxy waiting
	}
	if n.streams != nil {
		all = append(all, n.streams.Shutdown)
	}
	if n.packets != nil {
		all = append(all, n.packets.Shutdown)
	}
	return shutdowns(ctx, all...)
}

// newProxy makes the proxy on r's loops, listening.
func (f *proxyFlags) newProxy(r *mobius.Reactor, log io.Writer) (*proxy.Proxy, error) {
	var upstreams []*proxy.Upstream
	for i, to := range f.streams.tos {
		upstreams = append(upstreams, proxy.NewUpstreamOver(to.addr, f.layers[i]))
	}
	router, err := proxy.RoundRobinOf(upstreams...)
	if err != nil {
		return nil, usagef("%w", err)
	}
	o := f.options
	o.Route = router
	if f.status != "" {
		o.Sample = time.Second
	}
	if f.accessLog {
		o.Report = accessLog(log)
	}
	p, err := proxy.New(r.Loops(), o)
	if err != nil {
		return nil, err
	}
	for _, from := range f.streams.froms {
		layer := f.layer
		if from.scheme != "tls" {
			layer = nil
		}
		if err := p.ListenOver(from.addr, layer); err != nil {
			return nil, usagef("--listen %q: %w", from.text, err)
		}
	}
	return p, nil
}

// announce tells what runs where.
func (n *running) announce(out io.Writer, r *mobius.Reactor, status string) {
	printBackend(out, r)
	for _, url := range n.urls() {
		fmt.Fprintln(out, "listening on", url)
	}
	for _, to := range append(n.f.streams.tos, n.f.packetFlags.tos...) {
		fmt.Fprintln(out, "forwarding to", to.urlAt(to.addr))
	}
	if status != "" {
		fmt.Fprintln(out, "status on", status)
	}
	if n.demo == nil {
		return
	}
	urls := n.streams.URLs()
	n.demo.start(urls[0], backendTitle(r.Backend().Name))
	for i, a := range n.streams.Addrs() {
		if !a.IsUnix() {
			scheme := "http"
			if strings.HasPrefix(urls[i], "tls://") {
				scheme = "https"
			}
			fmt.Fprintf(out, "open %s://%s/ to see it work\n", scheme, browsable(a))
			return
		}
	}
}

// urls returns where the program listens.
func (n *running) urls() []string {
	var urls []string
	if n.streams != nil {
		urls = n.streams.URLs()
	}
	if n.packets != nil {
		urls = append(urls, n.packets.Status().Listeners...)
	}
	return urls
}

// browsable returns HOST:PORT of a listener as a browser on this machine
// reaches it.
func browsable(a proactor.Address) string {
	text := a.String()
	if !a.IP().IsValid() || a.IP().IsUnspecified() {
		return "127.0.0.1" + text[strings.LastIndexByte(text, ':'):]
	}
	return text
}

// accessLog returns a reporter that writes a line per session.
func accessLog(w io.Writer) proxy.Reporter {
	log := slog.New(slog.NewTextHandler(w, nil))
	return proxy.ReporterFunc(func(r *proxy.Report) {
		attrs := []any{
			"reason", r.Reason.String(), "side", r.Side.String(), "client", r.ClientURL(), "listener", r.ListenerURL(),
			"upstream", r.UpstreamURL(), "attempts", r.Attempts, "sent", r.Sent, "received", r.Received, "duration", r.Duration,
		}
		if r.Err != nil {
			attrs = append(attrs, "err", r.Err)
		}
		log.Info("closed", attrs...)
	})
}

// printBackend tells in a line what does the I/O.
func printBackend(out io.Writer, r *mobius.Reactor) {
	b := r.Backend()
	loops := "1 loop"
	if n := len(r.Loops()); n > 1 {
		loops = fmt.Sprintf("%d loops", n)
	}
	fmt.Fprintf(out, "on %s (%s), %s\n", backendTitle(b.Name), b.Why, loops)
}
