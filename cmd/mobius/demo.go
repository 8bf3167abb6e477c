package main

import (
	"fmt"
	"html/template"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	_ "embed" // the page

	"mobius/proactor"
)

// A demo is the small HTTP upstream that a proxy without --to starts, so that
// there is something to see at once.
type demo struct {
	ln      net.Listener
	server  *http.Server
	visits  atomic.Uint64
	front   string // where the proxy listens
	backend string
}

// newDemo listens on a port of its own on 127.0.0.1.
func newDemo() (*demo, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the demonstration upstream: %w", err)
	}
	d := &demo{ln: ln}
	d.server = &http.Server{Handler: d, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	return d, nil
}

func (d *demo) addr() proactor.Address { return proactor.FromNetAddr(d.ln.Addr()) }

// start serves pages that name the proxy's address and backend.
func (d *demo) start(front, backend string) {
	d.front, d.backend = front, backend
	go d.server.Serve(d.ln)
}

func (d *demo) close() { d.server.Close() }

// ServeHTTP answers every path with a page that says what just happened.
func (d *demo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	demoPage.Execute(w, map[string]any{
		"Front": d.front, "Backend": d.backend, "Near": r.RemoteAddr, "Far": d.addr().String(),
		"Method": r.Method, "Path": r.URL.Path, "Visit": d.visits.Add(1),
	})
}

//go:embed demo.html
var demoHTML string

var demoPage = template.Must(template.New("").Parse(demoHTML))
