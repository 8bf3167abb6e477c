// Package servers has the servers on package net that Mobius is measured
// beside: what a Go programmer writes first. They are kept as one would: a
// goroutine a connection, io.Copy between two connections. The same code runs on
// Mobius by package netconn, which is what that costs and brings.
package servers

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"

	"mobius/bench/load"
)

// A Config says what a server does.
type Config struct {
	Kind      string // echo, tls, unix, udp, http or proxy
	Address   string // where it listens: HOST:PORT or a path
	Upstream  string // of a proxy, HOST:PORT
	Cert, Key string // PEM files, of tls

	// Listen is what listens for streams; nil means net.Listen.
	Listen func(network, address string) (net.Listener, error)
}

// Kinds returns what servers there are.
func Kinds() []string { return []string{"echo", "http", "proxy", "tls", "udp", "unix"} }

// echoBuffer is how much is read at once, in bytes.
const echoBuffer = 64 << 10

// Run serves until the listener fails.
func Run(c Config) error {
	if c.Listen == nil {
		c.Listen = net.Listen
	}
	switch c.Kind {
	case "udp":
		return runUDP(c.Address)
	case "http":
		l, err := c.Listen("tcp", c.Address)
		if err != nil {
			return err
		}
		return http.Serve(l, Handler())
	case "proxy":
		return c.serve("tcp", func(conn net.Conn) { proxy(conn, c.Upstream) })
	case "echo":
		return c.serve("tcp", echo)
	case "unix":
		return c.serve("unix", echo)
	case "tls":
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return err
		}
		config := &tls.Config{Certificates: []tls.Certificate{pair}}
		return c.serve("tcp", func(conn net.Conn) { echo(tls.Server(conn, config)) })
	}
	return fmt.Errorf("servers: kind %q, want one of %q", c.Kind, Kinds())
}

func (c *Config) serve(network string, handle func(net.Conn)) error {
	l, err := c.Listen(network, c.Address)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err == nil {
			go handle(conn)
		}
	}
}

func echo(c net.Conn) {
	defer c.Close()
	buf := make([]byte, echoBuffer)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// proxy lets io.Copy do the work, which splices on Linux.
func proxy(c net.Conn, upstream string) {
	defer c.Close()
	up, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	defer up.Close()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, up}, {up, c}} {
		both.Go(func() {
			io.Copy(way[0], way[1])
			way[0].(*net.TCPConn).CloseWrite()
		})
	}
	both.Wait()
}

func runUDP(address string) error {
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	u := c.(*net.UDPConn)
	buf := make([]byte, echoBuffer)
	for {
		n, from, err := u.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err == nil {
			_, _ = u.WriteToUDPAddrPort(buf[:n], from)
		}
	}
}

// maxBody bounds what a client may ask for.
const maxBody = load.MaxSize

// Handler answers GET /bytes?n=N with N bytes that load checks. Any HTTP server
// can use it. It keeps the last few sizes that were asked for.
func Handler() http.Handler {
	var mu sync.Mutex
	bodies := map[int][]byte{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /bytes", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("n"))
		if err != nil || n < 1 || n > maxBody {
			http.Error(w, fmt.Sprintf("n is %q, want 1 to %d", r.URL.Query().Get("n"), maxBody), http.StatusBadRequest)
			return
		}
		mu.Lock()
		body, ok := bodies[n]
		if !ok {
			if len(bodies) >= 8 {
				clear(bodies)
			}
			body = load.Body(n)
			bodies[n] = body
		}
		mu.Unlock()
		w.Header().Set("Content-Length", strconv.Itoa(n))
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(body)
	})
	return mux
}

// Main is the program of such a server: KIND ADDRESS [UPSTREAM | CERT KEY]. It
// returns the process's exit status. listen may be nil, as in [Config].
func Main(args []string, listen func(network, address string) (net.Listener, error)) int {
	c := Config{}
	switch {
	case len(args) == 2 && slices.Contains([]string{"echo", "unix", "udp", "http"}, args[0]):
		c = Config{Kind: args[0], Address: args[1]}
	case len(args) == 3 && args[0] == "proxy":
		c = Config{Kind: args[0], Address: args[1], Upstream: args[2]}
	case len(args) == 4 && args[0] == "tls":
		c = Config{Kind: args[0], Address: args[1], Cert: args[2], Key: args[3]}
	default:
		fmt.Fprintf(os.Stderr, "servers: %q, want KIND ADDRESS [UPSTREAM | CERT KEY]\n", args)
		return 2
	}
	c.Listen = listen
	if err := Run(c); err != nil {
		fmt.Fprintln(os.Stderr, "servers:", err)
		return 1
	}
	return 0
}
