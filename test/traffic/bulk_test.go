package traffic

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"mobius/internal/testenv"
)

const bulkConnections = 64

// 1 GiB each way (less if -short) at once over 64 connections: what arrives
// has the digest of what was sent, in both directions of every connection.
func TestBulkBothWays(t *testing.T) {
	each := int64(1<<30) / bulkConnections
	if testing.Short() {
		each /= 32
	}
	eachProxy(t, func(t *testing.T, start func(*testing.T, string, ...string) *proxied) {
		errs := make(chan error, 2*bulkConnections)
		front := start(t, serve(t, func(c *net.TCPConn) { bulkUpstream(c, errs) }))
		begin := time.Now()
		for n := range bulkConnections {
			go func() { errs <- bulkClient(front.addr, uint64(n), each) }()
		}
		late := time.After(6 * time.Minute)
		for range 2 * bulkConnections {
			select {
			case err := <-errs:
				if err != nil {
					t.Error(err)
				}
			case <-late:
				t.Fatal("not all connections have come to their end")
			}
		}
		t.Logf("%d MiB each way in %v", each*bulkConnections>>20, time.Since(begin).Round(time.Millisecond))
		if front.process != nil {
			testenv.Eventually(t, 10*time.Second, "the proxy has given back its pipes and sockets", func() bool {
				return front.process.descriptors(t) < 64
			})
		}
	})
}

// The header of a bulk connection: which stream, and how many bytes each way.
type bulkHeader struct{ Seed, Bytes uint64 }

// bulkClient sends a stream made from its number and its digest, receives the
// stream that the upstream makes, with its digest, and compares.
func bulkClient(addr string, n uint64, size int64) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		return err
	}
	if err := binary.Write(c, binary.BigEndian, bulkHeader{n, uint64(size)}); err != nil {
		return err
	}
	if err := bulkBoth(c.(*net.TCPConn), 2*n, 2*n+1, size); err != nil {
		return fmt.Errorf("client of connection %d: %w", n, err)
	}
	return nil
}

// bulkUpstream is the other end of bulkClient.
func bulkUpstream(c *net.TCPConn, errs chan<- error) {
	err := c.SetDeadline(time.Now().Add(5 * time.Minute))
	var h bulkHeader
	if err == nil {
		err = binary.Read(c, binary.BigEndian, &h)
	}
	if err == nil {
		err = bulkBoth(c, 2*h.Seed+1, 2*h.Seed, int64(h.Bytes))
	}
	if err != nil {
		err = fmt.Errorf("upstream of connection %d: %w", h.Seed, err)
	}
	errs <- err
}

// bulkBoth sends one stream and its end, and receives another and its end.
func bulkBoth(c *net.TCPConn, sent, received uint64, size int64) error {
	var both sync.WaitGroup
	var sendErr error
	both.Go(func() {
		sum := sha256.New()
		_, sendErr = io.Copy(struct{ io.Writer }{c}, io.TeeReader(stream(sent, size), sum))
		if sendErr == nil {
			_, sendErr = c.Write(sum.Sum(nil))
		}
		if sendErr == nil {
			sendErr = c.CloseWrite()
		}
	})
	sum := sha256.New()
	_, err := io.CopyN(sum, struct{ io.Reader }{c}, size)
	rest := make([]byte, sha256.Size+1)
	n := 0
	if err == nil {
		n, err = io.ReadFull(c, rest)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil // the digest, and then the end: as it must be
		}
	}
	both.Wait()
	if err = errors.Join(err, sendErr); err != nil {
		return err
	}
	if got := sum.Sum(nil); n != sha256.Size || !bytes.Equal(got, rest[:sha256.Size]) {
		return fmt.Errorf("%d bytes of stream %d have the digest %x, want %x", size, received, got, rest[:n])
	}
	return nil
}

// stream returns size bytes that look random and differ from stream to stream.
func stream(seed uint64, size int64) io.Reader {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed+1)
	return io.LimitReader(rand.NewChaCha8(key), size)
}
