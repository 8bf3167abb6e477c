// Package pipe reads and writes descriptors that go one way: the pipes of a
// child process, standard input and output. What goes both ways and is a
// socket is a transport.Conn.
//
// Everything here is for the goroutine of the loop.
package pipe
