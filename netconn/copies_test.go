package netconn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// cause reduces an error to what a program asks of it: how far a copy's pieces are
// wrapped depends on who copies.
func cause(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	for _, is := range []error{net.ErrClosed, os.ErrDeadlineExceeded, syscall.ECONNRESET, syscall.EPIPE, os.ErrClosed} {
		if errors.Is(err, is) {
			return is
		}
	}
	return err
}

// kinds of a copy's error, from the outside in.
func wraps(err error) string {
	var ops []string
	for op := (*net.OpError)(nil); errors.As(err, &op); err = op.Err {
		ops = append(ops, op.Op+" "+op.Net)
	}
	return strings.Join(ops, ", ")
}

// copies are behaviours of io.Copy from and to connections.
var copies = map[string]func(r *record, s stack, network, address string){
	"copy between connections": func(r *record, s stack, network, address string) {
		a, source := r.conns(s, network, address)
		b, sink := r.conns(s, network, address)
		source.Write([]byte("passed on"))
		source.(half).CloseWrite()
		n, err := io.Copy(b, a)
		r.note("copy", n, err)
		n, err = io.Copy(b, a)
		r.note("copy at the end", n, err)
		b.Close()
		p, err := io.ReadAll(sink)
		r.note("came", string(p), err)
	},
	"copy until a deadline": func(r *record, s stack, network, address string) {
		a, source := r.conns(s, network, address)
		b, sink := r.conns(s, network, address)
		source.Write([]byte("in time"))
		first := make(chan string)
		go func() { // the deadline begins when the bytes are through, however long that takes
			p := make([]byte, len("in time"))
			_, err := io.ReadFull(sink, p)
			a.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			first <- fmt.Sprint(string(p), err)
		}()
		n, err := io.Copy(b, a)
		r.note("copy", n, cause(err), <-first)
		if network == "tcp" {
			r.note("wrapped", wraps(err))
		}
		n, err = io.Copy(b, a)
		r.note("copy late", n, cause(err))
		a.SetReadDeadline(time.Time{})
		b.SetWriteDeadline(time.Unix(1, 0))
		source.Write([]byte("late"))
		n, err = io.Copy(b, a)
		r.note("copy to a late one", n, cause(err))
		b.Close()
		p, err := io.ReadAll(sink)
		r.note("came", string(p), err)
	},
	"copy of what is closed": func(r *record, s stack, network, address string) {
		a, source := r.conns(s, network, address)
		b, _ := r.conns(s, network, address)
		source.Write([]byte("x"))
		b.Close()
		n, err := io.Copy(b, a)
		r.note("to", n, cause(err))
		if network == "tcp" {
			r.note("wrapped", wraps(err))
		}
		a.Close()
		n, err = io.Copy(b, a)
		r.note("from", n, cause(err))
		c, _ := r.conns(s, network, address)
		c.(half).CloseWrite()
		n, err = io.Copy(c, strings.NewReader("x"))
		r.note("to a closed side", n, cause(err))
	},
	"copy of a part": func(r *record, s stack, network, address string) {
		a, source := r.conns(s, network, address)
		b, sink := r.conns(s, network, address)
		source.Write([]byte("0123456789"))
		limited := &io.LimitedReader{R: a, N: 4}
		n, err := io.Copy(b, limited)
		r.note("copy", n, limited.N, err)
		n, err = io.CopyN(b, a, 3)
		r.note("copy", n, err)
		source.(half).CloseWrite()
		n, err = io.CopyN(b, a, 10)
		r.note("copy", n, err)
		b.Close()
		p, err := io.ReadAll(sink)
		r.note("came", string(p), err)
	},
	"copy of a file": func(r *record, s stack, network, address string) {
		f, err := os.Create(filepath.Join(r.t.TempDir(), "f"))
		if err != nil {
			r.t.Fatal(err)
		}
		f.WriteString("0123456789")
		f.Seek(3, io.SeekStart)
		b, sink := r.conns(s, network, address)
		limited := &io.LimitedReader{R: f, N: 2}
		n, err := io.Copy(b, limited)
		at, _ := f.Seek(0, io.SeekCurrent)
		r.note("copy", n, limited.N, at, err)
		n, err = io.Copy(b, f)
		r.note("copy", n, err)
		n, err = io.Copy(b, f)
		r.note("copy at the end", n, err)
		f.Close()
		n, err = io.Copy(b, f)
		r.note("copy of a closed one", n, cause(err))
		if dir, err := os.Open(r.t.TempDir()); err == nil {
			n, err = io.Copy(b, dir)
			r.note("copy of a directory", n, err != nil)
			dir.Close()
		}
		b.Close()
		p, err := io.ReadAll(sink)
		r.note("came", string(p), err)
	},
}
