package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"mobius"
	"mobius/proxy"
)

// A snapshot is what /status.json says and the status page shows.
type snapshot struct {
	Command    string                `json:"command"`
	Version    string                `json:"version"`
	PID        int                   `json:"pid"`
	Uptime     time.Duration         `json:"uptime"` // ns
	Backend    backendStatus         `json:"backend"`
	GOMAXPROCS int                   `json:"gomaxprocs"`
	Memory     memoryStatus          `json:"memory"`
	Proxy      *proxy.Status         `json:"proxy,omitempty"`
	Datagrams  *proxy.DatagramStatus `json:"datagrams,omitempty"`
	Echo       *echoStatus           `json:"echo,omitempty"`
}

type backendStatus struct {
	Name  string `json:"name"`
	Why   string `json:"why"`
	Loops int    `json:"loops"`
}

// A memoryStatus is what matters of runtime.MemStats.
type memoryStatus struct {
	Mallocs   uint64 `json:"mallocs"` // heap objects ever allocated
	Frees     uint64 `json:"frees"`
	HeapAlloc uint64 `json:"heap_alloc"` // bytes
	Sys       uint64 `json:"sys"`        // bytes
	NumGC     uint32 `json:"num_gc"`
}

// An echoStatus is what an echo server does.
type echoStatus struct {
	Listeners []string `json:"listeners"`
	Live      int64    `json:"live"`
	Accepted  uint64   `json:"accepted"`
	Bytes     int64    `json:"bytes"` // echoed
	TLS       bool     `json:"tls"`
	Failed    uint64   `json:"handshakes_failed"`
	UDP       bool     `json:"udp"`
	Datagrams uint64   `json:"datagrams"` // echoed
	Dropped   uint64   `json:"dropped"`   // datagrams that could not be
}

// setReactor fills in what is the same for every command.
func (v *snapshot) setReactor(command string, r *mobius.Reactor) {
	b := r.Backend()
	v.Command = command
	v.Backend = backendStatus{b.Name, b.Why, len(r.Loops())}
}

// A statusServer serves the status page and /status.json.
type statusServer struct {
	addr    string // as a URL
	server  *http.Server
	started time.Time
	fill    func(*snapshot) // the command's part of a snapshot
}

// serveStatus starts a status server; where is a --status flag's value.
func serveStatus(where string, fill func(*snapshot)) (*statusServer, error) {
	network, addr := "tcp", where
	if strings.Contains(where, "://") {
		e, err := parseURL("--status", where, false)
		if err == nil && e.scheme != "tcp" && e.scheme != "unix" {
			err = usagef("--status %q: want HOST:PORT or unix:///PATH", where)
		}
		if err != nil {
			return nil, err
		}
		network, addr = e.addr.Network(), e.addr.String()
	} else if _, _, err := parseHostPort("tcp", where, false); err != nil {
		return nil, usagef("--status %q: want HOST:PORT", where)
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		return nil, usagef("--status %q: %w", where, err)
	}
	s := &statusServer{started: time.Now(), fill: fill}
	s.addr = "http://" + ln.Addr().String() + "/"
	if network == "unix" {
		s.addr = "unix://" + ln.Addr().String()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page("page"))
	mux.HandleFunc("GET /part", s.page("part"))
	mux.HandleFunc("GET /status.json", s.json)
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute}
	go s.server.Serve(ln)
	return s, nil
}

func (s *statusServer) close() { s.server.Close() }

func (s *statusServer) snapshot() *snapshot {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	v := &snapshot{
		Version: buildVersion(), PID: os.Getpid(), Uptime: time.Since(s.started), GOMAXPROCS: runtime.GOMAXPROCS(0),
		Memory: memoryStatus{m.Mallocs, m.Frees, m.HeapAlloc, m.Sys, m.NumGC},
	}
	s.fill(v)
	return v
}

func (s *statusServer) json(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(s.snapshot())
}

// page returns the handler that renders one of the page's templates: the
// whole, or the part of it that the page fetches again each second.
func (s *statusServer) page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		if err := statusPage.ExecuteTemplate(&b, name, s.snapshot()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy",
			"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:")
		w.Write(b.Bytes())
	}
}
