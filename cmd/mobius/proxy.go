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
upstream; either side may, or both. Without --to a small web server inside is
the upstream, to see it work at once.`

// A proxyFlags is what the proxy command was told.
type proxyFlags struct {
	reactorFlags
	certificateFlags
	upstreamFlags
	listen, to list
	options    proxy.Options
	accessLog  bool
	froms, tos []endpoint
	layer      proxy.Layer   // of tls:// listeners
	layers     []proxy.Layer // of tos, nil for those that are not tls://
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
	set.BoolVar(&o.ReusePort, "reuseport", false, "with several loops: a listening socket for each (SO_REUSEPORT)")
	set.BoolVar(&f.accessLog, "access-log", false, "write a line per connection that ended")
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
	if o.ConnectTimeout <= 0 {
		return usagef("--connect-timeout is %v, want more than 0", o.ConnectTimeout)
	}
	if len(f.listen) == 0 {
		f.listen = list{"tcp://127.0.0.1:8080"}
	}
	if len(f.to) > proxy.MaxUpstreams {
		return usagef("%d --to, want at most %d", len(f.to), proxy.MaxUpstreams)
	}
	if f.froms, err = parseURLs("--listen", f.listen, false); err != nil {
		return err
	}
	if f.tos, err = parseURLs("--to", f.to, true); err != nil {
		return err
	}
	return f.secure()
}

// secure makes the layers.
func (f *proxyFlags) secure() error {
	config, err := f.certificateFlags.config(f.froms)
	if err != nil {
		return err
	}
	if config != nil {
		if f.layer, err = proxy.TLSServer(config, tlsOptions()); err != nil {
			return usagef("--cert %q: %w", f.cert, err)
		}
	}
	configs, err := f.upstreamFlags.configs(f.tos)
	if err != nil {
		return err
	}
	f.layers = make([]proxy.Layer, len(configs))
	for i, config := range configs {
		if config == nil {
			continue
		}
		if f.layers[i], err = proxy.TLSClient(config, nil); err != nil {
			return usagef("--to %q: %w", f.tos[i].text, err)
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

// runProxy is the command.
func runProxy(args []string, out, log io.Writer) error {
	f, err := parseProxyFlags(args, out)
	if err != nil {
		return err
	}
	var d *demo
	if len(f.tos) == 0 {
		if d, err = newDemo(); err != nil {
			return err
		}
		defer d.close()
		f.tos, f.layers = []endpoint{{scheme: "tcp", addr: d.addr()}}, make([]proxy.Layer, 1)
	}
	r, err := newReactor(&f.reactorFlags, log)
	if err != nil {
		return err
	}
	defer r.Close()
	p, err := f.newProxy(r, log)
	if err != nil {
		return err
	}
	if f.status != "" {
		s, err := serveStatus(f.status, func(v *snapshot) {
			v.setReactor("proxy", r)
			now := p.Status()
			v.Proxy = &now
		})
		if err != nil {
			return err
		}
		defer s.close()
		f.announce(out, r, p, d, s.addr)
	} else {
		f.announce(out, r, p, d, "")
	}
	return serve(r, &f.reactorFlags, out, func(ctx context.Context) error {
		if d != nil {
			go d.server.Shutdown(ctx) // its idle connections would keep the proxy waiting
		}
		return p.Shutdown(ctx)
	})
}

// newProxy makes the proxy on r's loops, listening.
func (f *proxyFlags) newProxy(r *mobius.Reactor, log io.Writer) (*proxy.Proxy, error) {
	var upstreams []*proxy.Upstream
	for i, to := range f.tos {
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
	for _, from := range f.froms {
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
func (f *proxyFlags) announce(out io.Writer, r *mobius.Reactor, p *proxy.Proxy, d *demo, status string) {
	printBackend(out, r)
	for _, url := range p.URLs() {
		fmt.Fprintln(out, "listening on", url)
	}
	for _, to := range f.tos {
		fmt.Fprintln(out, "forwarding to", to.urlAt(to.addr))
	}
	if status != "" {
		fmt.Fprintln(out, "status on", status)
	}
	if d == nil {
		return
	}
	d.start(p.URLs()[0], backendTitle(r.Backend().Name))
	for i, a := range p.Addrs() {
		if !a.IsUnix() {
			scheme := "http"
			if strings.HasPrefix(p.URLs()[i], "tls://") {
				scheme = "https"
			}
			fmt.Fprintf(out, "open %s://%s/ to see it work\n", scheme, browsable(a))
			return
		}
	}
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
