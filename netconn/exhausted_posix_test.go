//go:build unix

package netconn

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// exhaust takes every descriptor that is left; the returned function gives n of
// them back.
func exhaust() (back func(n int)) {
	var files []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		files = append(files, f)
	}
	return func(n int) {
		for _, f := range files[:min(n, len(files))] {
			f.Close()
		}
		files = files[min(n, len(files)):]
	}
}

// lowLimit gives the process few descriptors until the test ends. (io_uring reads
// the limit when an accept is submitted.)
func lowLimit(r *record) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		r.t.Fatal(err)
	}
	few := old
	few.Cur = 256
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old) })
}

// shortages are behaviours when there is none left of something.
var shortages = map[string]func(r *record, s stack, network, address string){
	"descriptors run out": func(r *record, s stack, network, address string) {
		lowLimit(r)
		l, err := s.listen(network, address)
		if err != nil {
			r.t.Fatal(err)
		}
		defer l.Close()
		back := exhaust()
		defer back(1 << 20)
		back(1)
		client, err := net.Dial(network, l.Addr().String())
		if err != nil {
			r.t.Fatal(err)
		}
		defer client.Close()
		_, err = l.Accept()
		r.note("accept", err, errors.Is(err, syscall.EMFILE))
		back(1 << 20)
		temporary := func(err error) bool {
			t, ok := err.(interface{ Temporary() bool }) // what net/http asks
			return ok && t.Temporary()
		}
		c, err := l.Accept()
		for err != nil && temporary(err) {
			c, err = l.Accept()
		}
		r.note("accept", err)
		client.Write([]byte("served"))
		p := make([]byte, 10)
		n, err := c.Read(p)
		r.note("read", string(p[:n]), err)
		c.Close()
	},
}
