package netconn

// Options limit what a connection and a listener keep. The zero value is the
// default of every field.
type Options struct {
	// ReadBuffer is how many received bytes a connection keeps that nobody has
	// read; from there on it does not receive, which slows its peer down, until
	// half of them are read. What is under way at that moment is kept, too: no more
	// than the socket's own buffer and one turn bring. Default 256 KiB.
	ReadBuffer int

	// Unaccepted is how many connections a listener keeps that nobody has
	// accepted; from there on they wait in the kernel's queue. Default 1024.
	Unaccepted int

	// Datagrams and DatagramBytes are how many datagrams that nobody has read a
	// packet connection keeps, and how large they may be together; what comes
	// then waits in the socket's buffer, and is lost if that is full. Defaults
	// 1024 and 1 MiB.
	Datagrams     int
	DatagramBytes int
}

// The defaults of Options.
const (
	DefaultReadBuffer    = 256 << 10
	DefaultUnaccepted    = 1024
	DefaultDatagrams     = 1024
	DefaultDatagramBytes = 1 << 20
)

// resolved returns o with the defaults as values.
func (o Options) resolved() *Options {
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&o.ReadBuffer, DefaultReadBuffer)
	set(&o.Unaccepted, DefaultUnaccepted)
	set(&o.Datagrams, DefaultDatagrams)
	set(&o.DatagramBytes, DefaultDatagramBytes)
	return &o
}
