// Package mixed plays every transport in one simulated world at a time: TCP,
// unix and TLS streams, UDP, unix datagrams, multicast groups, and the pipes of
// a child, on two loops, with faults that are drawn from a seed.
package mixed
