//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package backendtest

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Sentence 15: descriptors that come in and go out.

func s15DetachedIsUsableByOthers(w *world) {
	w.each(func() {
		a, b, _ := w.connectWith(&proactor.SocketOptions{})
		r := b.read(1)
		a.say(made(1, 0, 100))
		w.until("bytes arrive", r.has(100))
		if _, err := b.d.b.Detach(b.h); err != proactor.ErrBusy {
			w.Fatalf("Detach with a recv active: %v, want ErrBusy", err)
		}
		r.cancel()
		w.until("recv ends", r.isIdle)
		a.say(made(1, 100, 50)) // not read yet
		fd, err := b.d.b.Detach(b.h)
		if err != nil {
			w.Fatalf("Detach: %v", err)
		}
		b.d.disown(b.h)
		if err := b.d.b.CloseFD(b.h); err != proactor.ErrClosed {
			w.Fatalf("CloseFD of a detached handle: %v, want ErrClosed", err)
		}
		in := a.read(2)
		var got []byte
		var failed error
		w.elsewhere(func() { got, failed = exchange(fd) })
		if failed != nil || len(got) != 50 || mismatch(1, 100, got) >= 0 {
			w.Fatalf("a detached descriptor yields %d bytes, %v", len(got), failed)
		}
		in.wantEnd(30)
		a.close()
	})
}

// exchange reads 50 bytes of a descriptor, and writes 30, as package net does it.
func exchange(fd int) ([]byte, error) {
	f := os.NewFile(uintptr(fd), "detached")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	got := make([]byte, 50)
	if _, err = io.ReadFull(c, got); err == nil {
		_, err = c.Write(made(2, 0, 30))
	}
	return got, err
}

func s15AdoptsASocketpair(w *world) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		w.Fatal(err)
	}
	h, err := w.server.b.Adopt(fds[0])
	if err != nil {
		w.Fatalf("Adopt: %v", err)
	}
	s := stream{w.server, w.server.own(h)}
	if again, err := w.server.b.Adopt(fds[0]); err == nil {
		w.Fatalf("a second Adopt of one descriptor succeeds: %v", again)
	}
	in := s.read(1)
	total := int64(w.size(1 << 20))
	out := s.write(2, total, nil)
	f := os.NewFile(uintptr(fds[1]), "socketpair")
	w.elsewhere(func() {
		defer f.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := f.Write(made(1, 0, int(total))); err != nil {
				w.report("write: %v", err)
			}
		}()
		got := make([]byte, total)
		if _, err := io.ReadFull(f, got); err != nil || mismatch(2, 0, got) >= 0 {
			w.report("read: %v", err)
		}
		<-done
	})
	w.until("all is sent", out.isDone)
	in.wantEnd(total)
}

// adoptListener makes a listener of package net and has the backend adopt a
// duplicate of its descriptor.
func adoptListener(w *world) (net.Listener, proactor.Handle) {
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	f, err := nl.(*net.TCPListener).File() // a duplicate
	if err != nil {
		w.Fatal(err)
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		w.Fatal(err)
	}
	h, err := w.server.b.Adopt(fd)
	if err != nil {
		w.Fatalf("Adopt of a listener: %v", err)
	}
	return nl, w.server.own(h)
}

func s15AdoptsAListener(w *world) {
	nl, h := adoptListener(w)
	defer nl.Close()
	local, _, err := w.server.b.Names(h)
	if err != nil || local != proactor.FromNetAddr(nl.Addr()) {
		w.Fatalf("Names of an adopted listener: %v, %v; want %v", local, err, nl.Addr())
	}
	l := w.server.listener(h, local)
	l.submit()
	a, b := w.join(l)
	r := b.read(1)
	a.say(made(1, 0, 10))
	w.until("it works", r.has(10))
}

// s15DuplicatesAreAdoptedInTurn adopts and closes duplicates of one socket, which
// are likely to get the same number each time. None tells of another's bytes.
func s15DuplicatesAreAdoptedInTurn(w *world) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		w.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	d := w.server
	adopt := func() stream {
		fd, err := unix.FcntlInt(uintptr(fds[0]), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			w.Fatal(err)
		}
		h, err := d.b.Adopt(fd)
		if err != nil {
			w.Fatalf("Adopt of a duplicate: %v", err)
		}
		return stream{d, d.own(h)}
	}
	say := func() {
		if _, err := unix.Write(fds[1], []byte("x")); err != nil {
			w.Fatal(err)
		}
	}
	for range 3 {
		for _, s := range []stream{adopt(), adopt()} {
			p := s.waitFor(proactor.Readable)
			w.never("readable without bytes", w.brief()/4, p.isIdle)
			say()
			p.wantReady(proactor.Readable)
			r := d.probe(proactor.OpRecv, s.h)
			r.submit()
			w.until("the byte arrives", func() bool { return r.total == 1 })
			r.cancel()
			w.until("the recv ends", r.isIdle)
			s.close()
		}
		stale := d.b.Stats().Stale
		say()
		w.never("a closed duplicate is heard of", w.brief()/4, func() bool { return d.b.Stats().Stale != stale })
		if _, err := unix.Read(fds[0], make([]byte, 1)); err != nil {
			w.Fatal(err)
		}
	}
}

func s15BadDescriptorsStayTheCallers(w *world) {
	before := w.server.b.Stats().Handles
	for _, fd := range []int{-1, 1 << 20} {
		if h, err := w.server.b.Adopt(fd); err == nil {
			w.Errorf("Adopt(%d) = %v, nil", fd, h)
		}
	}
	if n := w.server.b.Stats().Handles; n != before {
		w.Errorf("%d handles after failed Adopts, were %d", n, before)
	}
}

// s4AStolenConnectionShowsNothing has two owners of one listening socket,
// each of which finds the queue empty now and then.
func s4AStolenConnectionShowsNothing(w *world) {
	nl, h := adoptListener(w)
	p := w.server.probe(proactor.OpAccept, h)
	ours := 0
	p.on = func() { ours++ }
	p.submit()
	const n = 200
	theirs, over := 0, make(chan struct{})
	go func() {
		defer close(over)
		for {
			c, err := nl.Accept()
			if err != nil {
				return
			}
			theirs++
			c.Close()
		}
	}()
	for range n {
		w.client.dial(proactor.FromNetAddr(nl.Addr())).wait().close()
	}
	w.within(w.brief(), func() bool { return false })
	nl.Close()
	<-over
	w.until("every connection is somebody's", func() bool { return ours+theirs >= n || p.isIdle() })
	if p.isIdle() || ours+theirs != n {
		w.Fatalf("%d ours, %d theirs, of %d; accept goes on: %v (%v)", ours, theirs, n, p.live, p.err)
	}
}

// s4SignalsShowNothing interrupts the loop's thread all the time: while it sleeps in
// Poll, which ends the system call that waits (EINTR), and while it works.
func s4SignalsShowNothing(w *world) {
	pid := os.Getpid()
	defer meanwhile(func() { interrupt(pid, w.server.thread) })()
	w.within(w.brief(), func() bool { return false })
	a, b := w.connect()
	total := int64(w.size(1 << 20))
	e := newEcho(b)
	e.recv.submit()
	back := a.read(1)
	a.write(1, total, func() int { return 1 + w.rand.IntN(3000) })
	w.until("everything is echoed in a storm of signals", back.has(total))
	if back.got != total {
		w.Fatalf("%d bytes, %v", back.got, back.err)
	}
}

// s16NoDescriptorLeft takes all descriptors away and gives them back: an
// accept ends with EMFILE, and Refuse still answers.
func s16NoDescriptorLeft(w *world) {
	l := w.server.bind(w.freshAddress(), nil)
	var clients [4]*dialer
	for i := range clients {
		clients[i] = w.client.dial(l.local)
		clients[i].wait()
	}
	give := w.takeDescriptors()
	l.submit()
	w.until("an accept without descriptors ends", l.isIdle)
	if l.err != syscall.EMFILE {
		give()
		w.Fatalf("accept without descriptors ends with %v, want EMFILE", l.err)
	}
	if _, err := w.server.b.Stream(l.local, nil); err != syscall.EMFILE {
		give()
		w.Fatalf("Stream without descriptors: %v, want EMFILE", err)
	}
	n, err := w.server.b.Refuse(l.h, 1)
	give()
	if n != 1 || err != nil {
		w.Fatalf("Refuse without descriptors: %d, %v; want 1", n, err)
	}
	l.submit()
	w.until("the others are accepted once there are descriptors", func() bool { return l.count == len(clients)-1 })
	w.join(l)
}

// takeDescriptors lowers the limit on open descriptors so that none is left,
// and returns what puts it back.
func (w *world) takeDescriptors() (give func()) {
	w.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		w.Fatal(err)
	}
	fd, err := unix.Dup(0) // the lowest free number; below it there is no room
	if err != nil {
		w.Fatal(err)
	}
	unix.Close(fd)
	low := old
	low.Cur = 0
	for range fd { // its type is not the same everywhere
		low.Cur++
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		w.Fatal(err)
	}
	given := false
	give = func() {
		if !given {
			given = true
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
				w.Errorf("setrlimit: %v", err)
			}
		}
	}
	w.Cleanup(give)
	return give
}
