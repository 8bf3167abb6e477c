package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mobius/bench/load"
)

// The kinds of servers.
const (
	KindEcho  = "echo"  // TCP
	KindTLS   = "tls"   // an echo behind crypto/tls or its like
	KindUnix  = "unix"  // an echo on a unix socket
	KindUDP   = "udp"   // an echo of datagrams
	KindHTTP  = "http"  // GET /bytes?n=N
	KindProxy = "proxy" // TCP, in front of an echo
)

// A Workload is what can be asked of a kind of server.
type Workload struct {
	Name, Doc string
	Kind      string // of the servers that it suits
	mode      load.Mode
	usual     Case // what is not given in a case's text
}

// Workloads returns all there are.
func Workloads() []Workload {
	ping := func(conns int) Case { return Case{Conns: conns, Size: 64, Depth: 1} }
	return []Workload{
		{"echo", "ask and check the answer: ping-pong, pipelined (DEPTH) or bulk (SIZE)", KindEcho, load.Echo, ping(50)},
		{"slow", "echo, beside one connection that floods and hardly reads", KindEcho, load.Slow, ping(50)},
		{"connect", "connect, ask once, close", KindEcho, load.Connect, ping(32)},
		{"idle", "hold connections: descriptors and memory of each", KindEcho, load.Idle, ping(5000)},
		{"unix", "echo over a unix socket", KindUnix, load.Echo, ping(50)},
		{"udp", "echo of datagrams, CONNS peers on one socket", KindUDP, load.Echo, ping(50)},
		{"udp-stream", "echo of datagrams, DEPTH at once (GSO, GRO)", KindUDP, load.Stream, Case{Conns: 4, Size: 1200, Depth: 32}},
		{"tls", "echo over TLS 1.3, after the handshake", KindTLS, load.Echo, ping(50)},
		{"handshake", "TLS: connect, shake hands, ask once, close", KindTLS, load.Handshake, ping(16)},
		{"http", "GET over HTTP/1.1, kept alive", KindHTTP, load.HTTP, ping(50)},
		{"proxy", "echo through a proxy", KindProxy, load.Echo, ping(50)},
		{"proxy-connect", "connect through a proxy, ask once, close", KindProxy, load.Connect, ping(32)},
		{"proxy-idle", "hold proxied connections: descriptors and memory of each", KindProxy, load.Idle, ping(2000)},
	}
}

func findWorkload(name string) (Workload, bool) {
	all := Workloads()
	i := slices.IndexFunc(all, func(w Workload) bool { return w.Name == name })
	if i < 0 {
		return Workload{}, false
	}
	return all[i], true
}

// network returns what a workload's connections are of.
func (w *Workload) network() string {
	switch w.Kind {
	case KindUnix, KindUDP, KindTLS:
		return w.Kind
	}
	return "tcp"
}

// A Case is a workload with its parameters.
type Case struct {
	Workload string
	Conns    int     // connections, or peers on one socket
	Size     int     // bytes of a request, and of its answer
	Depth    int     // requests in flight on a connection
	Rate     float64 // requests per second in all, an open loop; 0 is a closed loop
}

// String returns the case as [ParseCase] reads it.
func (c Case) String() string {
	text := fmt.Sprintf("%s:%d,%d,%d", c.Workload, c.Conns, c.Size, c.Depth)
	if c.Rate > 0 {
		text += "@" + strconv.FormatFloat(c.Rate, 'f', -1, 64)
	}
	return text
}

// ParseCase reads WORKLOAD[:CONNS[,SIZE[,DEPTH]]][@RATE], such as echo:50,64,1
// or echo:1000@20000 (an open loop of 20,000 requests a second in all). What is
// missing is the workload's usual.
func ParseCase(text string) (Case, error) {
	bad := func(format string, args ...any) (Case, error) {
		return Case{}, fmt.Errorf("case %q: %s; want WORKLOAD[:CONNS[,SIZE[,DEPTH]]][@RATE]", text, fmt.Sprintf(format, args...))
	}
	rest, rate, hasRate := strings.Cut(text, "@")
	name, numbers, hasNumbers := strings.Cut(rest, ":")
	w, ok := findWorkload(name)
	if !ok {
		var names []string
		for _, w := range Workloads() {
			names = append(names, w.Name)
		}
		return bad("no workload %q, there are %s", name, strings.Join(names, ", "))
	}
	c := w.usual
	c.Workload = name
	if hasNumbers {
		parts := strings.Split(numbers, ",")
		if len(parts) > 3 {
			return bad("%d numbers", len(parts))
		}
		for i, to := range []*int{&c.Conns, &c.Size, &c.Depth}[:len(parts)] {
			n, err := strconv.Atoi(strings.TrimSpace(parts[i]))
			if err != nil {
				return bad("%q is no number", parts[i])
			}
			*to = n
		}
	}
	if hasRate {
		var err error
		if c.Rate, err = strconv.ParseFloat(rate, 64); err != nil || c.Rate <= 0 {
			return bad("the rate %q is no number above 0", rate)
		}
	}
	spec := c.spec(&w)
	spec.Duration = 1
	if err := spec.Check(); err != nil {
		return bad("%v", err)
	}
	return c, nil
}

// spec returns the load of a case, without an address and times.
func (c Case) spec(w *Workload) load.Spec {
	return load.Spec{Network: w.network(), Mode: w.mode, Conns: c.Conns, Size: c.Size, Depth: c.Depth, Rate: c.Rate}
}

// DefaultCases are what is measured if nothing else is asked for.
func DefaultCases() []Case {
	return mustCases("echo:1,64,1 echo:50,64,1 echo:1000,64,1 echo:50,64,16 echo:50,16384,1 echo:16,65536,1 echo:50,64,1@20000 " +
		"slow connect idle unix udp udp-stream tls handshake http proxy:50,64,1 proxy:500,64,1 proxy:16,65536,1 proxy-idle")
}

// mustCases reads cases that are written in this package; a test reads them all.
func mustCases(text string) []Case {
	var out []Case
	for _, one := range strings.Fields(text) {
		c, err := ParseCase(one)
		if err != nil {
			panic(err)
		}
		out = append(out, c)
	}
	return out
}
