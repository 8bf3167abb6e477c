package netconn

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"golang.org/x/net/nettest"

	"mobius"
	"mobius/internal/testenv"
)

// beyondTLS are the cases, by their order, in which a Write times out and the
// connection is to go on: crypto/tls says of itself that it cannot (tls.Conn,
// SetWriteDeadline), on package net neither.
var beyondTLS = map[int]bool{7: true, 9: true, 11: true} // PastTimeout, FutureTimeout, ConcurrentMethods

func TestNettestTLS(t *testing.T) {
	ca := testenv.NewCA(t)
	own := &tls.Config{Certificates: []tls.Certificate{ca.Issue("127.0.0.1")}}
	trusting := &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1"}
	everyRealBackend(t, func(t *testing.T, r *mobius.Reactor) {
		made := 0
		nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
			client, server, err := connected(r, "tcp", "127.0.0.1:0")
			if made++; err != nil || beyondTLS[made] {
				return piped(client, server, err)
			}
			c, s := tls.Client(client, trusting), tls.Server(server, own)
			shaken := make(chan error, 1)
			go func() { shaken <- s.Handshake() }()
			return piped(c, s, errors.Join(c.Handshake(), <-shaken))
		})
	})
}
