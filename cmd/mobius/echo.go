package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"sync/atomic"

	"mobius"
	"mobius/loop"
	"mobius/proactor"
)

const echoSynopsis = `echo --listen URL [--backend NAME] [--loops N] [--status ADDR]

Send back whatever arrives on tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT
or unix:///PATH.`

// An echoServer builds echo protocols and counts what they do, on each loop
// by itself.
type echoServer struct {
	counts map[*loop.Loop]*echoCounts
	on     endpoint
	addr   proactor.Address // that it has got
}

type echoCounts struct {
	live     atomic.Int64
	accepted atomic.Uint64
	bytes    atomic.Int64
	failed   atomic.Uint64 // handshakes

	datagrams, dropped atomic.Uint64

	_ [16]byte // the next loop's counters are in another cache line
}

// BuildProtocol returns an echo for one connection.
func (s *echoServer) BuildProtocol(proactor.Address) mobius.Protocol { return &echo{server: s} }

func (s *echoServer) url() string { return s.on.urlAt(s.addr) }

func (s *echoServer) status() *echoStatus {
	v := &echoStatus{Listeners: []string{s.url()}, TLS: s.on.scheme == "tls", UDP: s.on.packets()}
	for _, c := range s.counts {
		v.Live += c.live.Load()
		v.Accepted += c.accepted.Load()
		v.Bytes += c.bytes.Load()
		v.Failed += c.failed.Load()
		v.Datagrams += c.datagrams.Load()
		v.Dropped += c.dropped.Load()
	}
	return v
}

// An echo sends back what one connection receives, and reads no more than the
// peer takes back.
type echo struct {
	server *echoServer
	counts *echoCounts
	t      mobius.Transport
	shaken bool
}

// ConnectionMade begins.
func (e *echo) ConnectionMade(t mobius.Transport) {
	e.t, e.counts = t, e.server.counts[t.Loop()]
	e.counts.live.Add(1)
	e.counts.accepted.Add(1)
}

// HandshakeCompleted is called over TLS.
func (e *echo) HandshakeCompleted(tls.ConnectionState) { e.shaken = true }

// DataReceived sends p back.
func (e *echo) DataReceived(p []byte) {
	if n, err := e.t.Write(p); err == nil {
		e.counts.bytes.Add(int64(n))
	}
}

// PauseWriting stops reading, since the peer does not take what it is sent.
func (e *echo) PauseWriting() { e.t.PauseReading() }

// ResumeWriting goes on.
func (e *echo) ResumeWriting() { e.t.ResumeReading() }

// ConnectionLost ends.
func (e *echo) ConnectionLost(error) {
	e.counts.live.Add(-1)
	if !e.shaken && e.server.on.scheme == "tls" {
		e.counts.failed.Add(1)
	}
}

// factory returns what builds the protocols: over TLS if that is asked for.
func (s *echoServer) factory(f *certificateFlags) (mobius.Factory, error) {
	config, err := f.config([]endpoint{s.on})
	if err != nil || config == nil {
		return s, err
	}
	factory, err := mobius.TLSFactory(s, config, tlsOptions())
	if err != nil {
		return nil, usagef("--cert %q: %w", f.cert, err)
	}
	return factory, nil
}

// start listens, and returns what ends that.
func (s *echoServer) start(r *mobius.Reactor, f mobius.Factory) (shutdown func(context.Context) error, err error) {
	if s.on.packets() {
		port, err := s.listenPackets(r)
		if err != nil {
			return nil, err
		}
		s.addr = port.LocalAddr()
		return func(ctx context.Context) error { return stopPackets(ctx, port) }, nil
	}
	port, err := r.Listen(s.on.addr, f, mobius.ListenOptions{})
	if err != nil {
		return nil, err
	}
	s.addr = port.Addr()
	return port.Shutdown, nil
}

// runEcho is the command.
func runEcho(args []string, out, log io.Writer) error {
	var f reactorFlags
	var certificates certificateFlags
	set := flag.NewFlagSet("echo", flag.ContinueOnError)
	var listen single
	set.Var(&listen, "listen", "accept connections on `URL`")
	certificates.register(set)
	f.register(set)
	if err := parseFlags(set, echoSynopsis, args, out); err != nil {
		return err
	}
	if listen.value == "" {
		return usagef("--listen is missing; try: mobius echo --listen tcp://127.0.0.1:7007")
	}
	on, err := parseURL("--listen", listen.value, false)
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return err
	}
	server := &echoServer{counts: map[*loop.Loop]*echoCounts{}, on: on}
	factory, err := server.factory(&certificates)
	if err != nil {
		return err
	}
	r, err := newReactor(&f, log)
	if err != nil {
		return err
	}
	defer r.Close()
	for _, l := range r.Loops() {
		server.counts[l] = &echoCounts{}
	}
	shutdown, err := server.start(r, factory)
	if err != nil {
		return usagef("--listen %q: %w", listen.value, err)
	}
	where := ""
	if f.status != "" {
		s, err := serveStatus(f.status, func(v *snapshot) {
			v.setReactor("echo", r)
			v.Echo = server.status()
		})
		if err != nil {
			return err
		}
		defer s.close()
		where = s.addr
	}
	printBackend(out, r)
	fmt.Fprintln(out, "listening on", server.url())
	if where != "" {
		fmt.Fprintln(out, "status on", where)
	}
	return serve(r, &f, out, shutdown)
}
