package netconn

// A UnixConn is a unix stream connection, with the methods of a net.UnixConn.
type UnixConn struct{ Conn }
