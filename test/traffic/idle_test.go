package traffic

import (
	"io"
	"net"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// An idle connection through the proxy costs two descriptors, and memory that
// is logged: pipes and buffers that a busy moment took have been given back.
func TestIdleConnection(t *testing.T) {
	const connections = 1000
	for _, backend := range backends() {
		t.Run(backend, func(t *testing.T) {
			front := startProxy(t, backend, serve(t, echo))
			warm(t, front.addr, 50) // what is made once is not a connection's
			files, memory := front.process.descriptors(t), front.process.status(t, "VmRSS")
			warm(t, front.addr, connections)
			files = front.process.descriptors(t) - files
			memory = front.process.status(t, "VmRSS") - memory
			if files != 2*connections {
				t.Errorf("%d idle connections hold %d descriptors, want %d", connections, files, 2*connections)
			}
			t.Logf("an idle connection: %.1f descriptors, %.2f KiB resident", float64(files)/connections, float64(memory)/connections)
			if memory > 64*connections {
				t.Errorf("%d idle connections hold %d KiB, want at most 64 KiB each", connections, memory)
			}
		})
	}
}

// What a bulk transfer took, pipes above all, is given back once the
// connection has gone quiet, though it stays open. Eight empty pipes are kept,
// two descriptors each, for the next one.
func TestIdleAfterBulk(t *testing.T) {
	const connections, bulk, kept = 20, 8 << 20, 2 * 8
	for _, backend := range backends() {
		t.Run(backend, func(t *testing.T) {
			front := startProxy(t, backend, serve(t, echo))
			warm(t, front.addr, 50)
			files := front.process.descriptors(t)
			for _, c := range warm(t, front.addr, connections) {
				sent := make(chan error, 1)
				go func() {
					_, err := c.Write(make([]byte, bulk))
					sent <- err
				}()
				if _, err := io.CopyN(io.Discard, c, bulk); err != nil {
					t.Fatal(err)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
			}
			testenv.Eventually(t, 20*time.Second, "the connections are back at two descriptors each", func() bool {
				return front.process.descriptors(t)-files <= 2*connections+kept
			})
		})
	}
}

// warm opens connections that have each sent and received a little, and
// leaves them open until the end of the test.
func warm(t *testing.T, addr string, connections int) []net.Conn {
	t.Helper()
	var open []net.Conn
	for range connections {
		c := dial(t, addr)
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	return open
}
