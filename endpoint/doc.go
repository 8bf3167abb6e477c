// Package endpoint says where to connect to and where to listen, as values:
// Twisted's endpoints (IStreamClientEndpoint, IStreamServerEndpoint).
//
// A [Client] makes one connection per Connect, and answers with the protocol
// once it is connected; a [Server] listens. They are made by hand, or from
// text as it stands in configuration files, by a [Parser]:
//
//	tcp:host=example.com:port=80:timeout=10
//	unix:/run/app.sock:mode=660
//	systemd:INET:name=web
//
// A [ProcessClient] connects to a child process, and is made by hand alone.
//
// A [Service] keeps one connection of a Client for as long as it runs, and
// hands it to whoever waits for it.
package endpoint
