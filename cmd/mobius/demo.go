package main

import (
	"fmt"
	"html/template"
	"net"
	"net/http"
	"sync/atomic"
	"time"

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

var demoPage = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>It works: Mobius</title>
<style>
:root { color-scheme: light dark; --back:#f4f5f7; --card:#fff; --line:#e1e4e9; --text:#1c2129; --dim:#626b79; --up:#2f6fde; --down:#0f9d76 }
@media (prefers-color-scheme: dark) { :root { --back:#12151a; --card:#1b2027; --line:#2c333d; --text:#e7eaee; --dim:#98a2b0; --up:#6ea2ff; --down:#43cfa2 } }
* { box-sizing:border-box; margin:0 } body { background:var(--back); color:var(--text); font:16px/1.55 system-ui,-apple-system,"DejaVu Sans",sans-serif; padding:8vh 20px }
main { max-width:680px; margin:0 auto } h1 { font-size:30px; letter-spacing:-.02em; margin:0 0 10px } p { margin:0 0 18px }
.way { display:flex; flex-wrap:wrap; align-items:center; gap:10px; background:var(--card); border:1px solid var(--line); border-radius:12px; padding:18px 20px; margin:0 0 22px }
.way div { flex:1 1 130px } .way small { display:block; color:var(--dim) } .way i { color:var(--up); font-style:normal; font-size:22px; flex:none }
code { font:14px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace } .dim { color:var(--dim) }
pre { background:var(--card); border:1px solid var(--line); border-radius:12px; padding:14px 18px; overflow-x:auto; margin:0 0 18px }
</style></head><body><main>
<h1>It works.</h1>
<p>This page came through the Mobius proxy, which moved it from a small web server inside the same program to you, on {{.Backend}}.</p>
<div class="way"><div><b>You</b><small>{{.Method}} {{.Path}}</small></div><i>→</i><div><b>mobius proxy</b><small><code>{{.Front}}</code></small></div><i>→</i>
<div><b>Upstream</b><small><code>{{.Far}}</code>, asked from <code>{{.Near}}</code></small></div></div>
<p>It is request number {{.Visit}}. To put the proxy in front of something of yours:</p>
<pre><code>mobius proxy --listen tcp://127.0.0.1:8080 --to tcp://HOST:PORT</code></pre>
<p class="dim">Several <code>--to</code> take turns; <code>--status 127.0.0.1:9090</code> shows what goes on.</p>
</main></body></html>
`))
