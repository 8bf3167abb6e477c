// Package stacks is tests of other people's networking code, unmodified, on the
// listeners, dialers and packet connections of mobius/netconn: net/http,
// grpc-go, fasthttp, go-redis, redcon, websocket, quic-go and ssh, each with its
// real client, on uring, epoll and netpoll, and on package net beside them; and
// the lines of docs/dropin.md. Package compat's names are compared with gnet's, and
// a server moves from there to here by its import. With MOBIUS_LONG=1 the load generators run for 20 s, and there are
// 10,000 idle connections and 1,000 streams.
//
// It is a module of its own, so that who imports mobius never sees their
// modules. There is no driver of database/sql: one needs a database server, and
// the light ones are files, without a connection.
package stacks
