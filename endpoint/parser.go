package endpoint

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Parser makes endpoints of descriptions. [NewParser] knows the types that
// this package has; a program adds its own to the maps.
//
// Clients (Twisted's clientFromString):
//
//	tcp:HOST:PORT                     timeout, attemptDelay, bindAddress
//	unix:PATH                         timeout
//	tls:HOST:PORT                     what tcp has; certificate, privateKey, trustRoots (a file, or a directory of *.pem);
//	                                  endpoint, another client to go by: HOST is still who is verified
//	ssl:HOST:PORT                     the same by the names certKey, privateKey, caCertsDir
//
// Servers (Twisted's serverFromString):
//
//	tcp:PORT[:INTERFACE[:BACKLOG]]    reusePort, v6Only
//	tcp4:…, tcp6:…                    the same for one family alone
//	tls:…, ssl:…                      what tcp has; privateKey, certKey (default: the same file), extraCertChain
//	unix:ADDRESS[:MODE[:BACKLOG]]     mode in octal; lockfile=0 or 1 is read and means nothing: no lock is needed
//	haproxy:…:SERVER                  another server, behind proxies that send a header of the PROXY protocol, which
//	                                  comes before TLS; before it stand trusted (their networks, and unix, with commas
//	                                  between; default: this host), untrusted (refuse or data), timeout (of the header)
//	fd:FILENO                         a socket that listens already, by its number; domain=INET, INET6 or UNIX. See [FDServer].
//	systemd:DOMAIN                    one that systemd has handed over: index=0 or name=web. See [Inheritance].
//	stdio:                            standard input and output, as one connection. See [StdioServer].
//
// Each argument may go by its name as well: host, port, path, interface,
// backlog, address, mode, fileno, domain. Times are seconds, or as in 1m30s, or no
// where there may be none.
//
// TCP, with TLS or without, has the arguments noDelay, keepAlive,
// keepAliveInterval, keepAliveCount, userTimeout, notSentLowat and freeBind, which
// like sendBuffer and recvBuffer of all sockets mean what the fields of
// [mobius.SocketOptions] do. highWater, lowWater, hardLimit, closeTimeout,
// halfClosedTimeout, idleTimeout and zeroCopyFrom, of all but stdio and haproxy, are the fields
// of [mobius.TransportOptions].
type Parser struct {
	Clients map[string]ClientType
	Servers map[string]ServerType

	// Inherited is what systemd: chooses from; nil means what the environment
	// says that this process was handed.
	Inherited *Inheritance
}

// A ClientType makes a client of a description of its type. p is the parser,
// for types that wrap others.
type ClientType func(p *Parser, r Reactor, d Description) (Client, error)

// A ServerType makes a server of a description of its type.
type ServerType func(p *Parser, r Reactor, d Description) (Server, error)

// NewParser returns a parser that knows the types above.
func NewParser() *Parser {
	return &Parser{
		Clients: map[string]ClientType{
			"tcp": parseTCPClient, "unix": parseUNIXClient, "tls": parseTLSClient, "ssl": parseTLSClient,
		},
		Servers: map[string]ServerType{
			"tcp": parseTCPServer, "tcp4": parseTCPServer, "tcp6": parseTCPServer, "unix": parseUNIXServer,
			"tls": parseTLSServer, "ssl": parseTLSServer, "haproxy": parseHAProxyServer,
			"fd": parseFDServer, "systemd": parseSystemdServer, "stdio": parseStdioServer,
		},
	}
}

// ParseClient is NewParser().Client.
func ParseClient(r Reactor, text string) (Client, error) { return NewParser().Client(r, text) }

// ParseServer is NewParser().Server.
func ParseServer(r Reactor, text string) (Server, error) { return NewParser().Server(r, text) }

// Client returns the client that text describes, on r.
func (p *Parser) Client(r Reactor, text string) (Client, error) {
	d, err := ParseDescription(text)
	if err != nil {
		return nil, err
	}
	return p.ClientOf(r, d)
}

// ClientOf is Client for a description that was read already.
func (p *Parser) ClientOf(r Reactor, d Description) (Client, error) {
	t, ok := p.Clients[d.Type]
	if !ok {
		return nil, unknownType(d, "client", p.Clients)
	}
	return t(p, r, d)
}

// Server returns the server that text describes, on r.
func (p *Parser) Server(r Reactor, text string) (Server, error) {
	d, err := ParseDescription(text)
	if err != nil {
		return nil, err
	}
	return p.ServerOf(r, d)
}

// ServerOf is Server for a description that was read already.
func (p *Parser) ServerOf(r Reactor, d Description) (Server, error) {
	t, ok := p.Servers[d.Type]
	if !ok {
		return nil, unknownType(d, "server", p.Servers)
	}
	return t(p, r, d)
}

func unknownType[T any](d Description, kind string, types map[string]T) error {
	known := strings.Join(slices.Sorted(maps.Keys(types)), ", ")
	return fmt.Errorf("endpoint %q: %q is no type of %ss: want one of %s", d, d.Type, kind, known)
}

func parseTCPClient(_ *Parser, r Reactor, d Description) (Client, error) {
	a := d.Arguments("host", "port")
	c := TCPClient{Reactor: r, Host: a.Need("host"), Port: a.Port("port", true), Options: connectOptions(a, true)}
	return c, a.Err()
}

func parseUNIXClient(_ *Parser, r Reactor, d Description) (Client, error) {
	a := d.Arguments("path")
	c := UNIXClient{Reactor: r, Path: a.Need("path"), Options: connectOptions(a, false)}
	return c, a.Err()
}

func parseTCPServer(_ *Parser, r Reactor, d Description) (Server, error) {
	a := d.Arguments("port", "interface", "backlog")
	host, port := a.Text("interface", ""), a.Port("port", true)
	if host == "" {
		host = map[string]string{"tcp4": "0.0.0.0", "tcp6": "::"}[d.Type]
	}
	s := TCPServer{Reactor: r, Addr: a.listenAddress(host, port), Options: listenOptions(a, true)}
	if ip := s.Addr.IP(); ip.IsValid() && (d.Type == "tcp4" && !ip.Is4() || d.Type == "tcp6" && ip.Is4()) {
		a.fail("interface is %q, which is another family than %s", host, d.Type)
	}
	return s, a.Err()
}

func parseUNIXServer(_ *Parser, r Reactor, d Description) (Server, error) {
	a := d.Arguments("address", "mode", "backlog")
	s := UNIXServer{Reactor: r, Path: a.Need("address"), Options: listenOptions(a, false)}
	if mode := a.Int("mode", 8, 0); mode != 0 {
		s.Options.Socket = orNew(s.Options.Socket)
		s.Options.Socket.Mode = uint32(mode)
		if mode > 0o777 {
			a.fail("mode is %o, want permission bits, 1 to 777", mode)
		}
	}
	a.Bool("lockfile", true)
	return s, a.Err()
}
