package backendtest

import (
	"syscall"

	"mobius/proactor"
)

// Sentence 12e: descriptors that travel with bytes.

// A passing is a connection whose one end is a descriptor that travels.
type passing struct {
	fd   int
	here stream // the other end
}

// passing makes one.
func (w *world) passing() passing {
	w.Helper()
	here, there := w.connect()
	fd, err := w.server.b.Detach(there.h)
	if err != nil {
		w.Fatalf("Detach: %v", err)
	}
	w.server.disown(there.h)
	return passing{fd, here}
}

// wantGone checks that nobody has the end that travelled.
func (p passing) wantGone(what string) {
	w := p.here.d.w
	w.Helper()
	r := p.here.read(0)
	w.until(what+": the descriptor that nobody got is closed", r.isIdle)
}

// wantAlive checks that fd, which has arrived, is the end that travelled.
func (p passing) wantAlive(fd int) {
	w := p.here.d.w
	w.Helper()
	h, err := w.server.b.Adopt(fd)
	if err != nil {
		w.Fatalf("Adopt of a descriptor that has arrived: %v", err)
	}
	there := stream{w.server, w.server.own(h)}
	r := there.read(5)
	p.here.say(made(5, 0, 20))
	w.until("it works", r.has(20))
}

// pass submits a Send with descriptors, and then closes the sender's own.
func (s stream) pass(text []byte, files ...passing) *probe {
	w := s.d.w
	p := s.d.probe(proactor.OpSend, s.h)
	p.Buf, p.Msg = text, &proactor.Msg{}
	for _, f := range files {
		p.Msg.Files = append(p.Msg.Files, f.fd)
	}
	p.submit()
	for _, f := range files {
		if err := s.d.b.Discard(f.fd); err != nil {
			w.Fatalf("Discard: %v", err)
		}
	}
	return p
}

// unixPair is connect for unix sockets.
func (w *world) unixPair() (a, b stream) {
	w.network = proactor.Unix
	a, b = w.connect()
	w.network = proactor.TCP
	return a, b
}

func s12eFilesTravelWithTheirBytes(w *world) {
	if !w.hasDatagrams() {
		return
	}
	a, b := w.unixPair()
	one, two := w.passing(), w.passing()
	var files []int
	var at []int64 // bytes before each
	r := b.reader(1, 0)
	r.Msg = &proactor.Msg{}
	r.each = func(p []byte) {
		for _, fd := range r.Msg.Files {
			files, at = append(files, fd), append(at, r.got-int64(len(p)))
		}
	}
	r.submit()
	a.say(made(1, 0, 10))
	out := a.pass(made(1, 10, 50), one, two)
	w.until("it is sent", out.isIdle)
	if out.err != nil || out.n != 50 {
		w.Fatalf("a Send with descriptors: %d, %v", out.n, out.err)
	}
	a.say(made(1, 60, 40))
	w.until("all bytes arrive", r.has(100))
	if len(files) != 2 || at[0] > 10 || at[1] > 10 {
		w.Fatalf("%d descriptors, behind %v bytes; want 2, no later than behind 10", len(files), at)
	}
	one.wantAlive(files[0])
	two.wantAlive(files[1])
}

func s12eFilesTravelWithDatagrams(w *world) {
	if !w.hasDatagrams() {
		return
	}
	to, at := w.server.packetAt(proactor.UnixgramAddress(w.dir()+"/d"), nil)
	from, _ := w.client.packetAt(proactor.UnixgramAddress(""), nil)
	x := w.server.box(to)
	one := w.passing()
	out := w.client.post(from, at, []byte("take it"), &proactor.Msg{Files: []int{one.fd}})
	if err := w.client.b.Discard(one.fd); err != nil {
		w.Fatalf("Discard: %v", err)
	}
	w.until("it is sent and arrives", func() bool { return out.isIdle() && x.has(1)() })
	if out.err != nil || len(x.letters[0].files) != 1 {
		w.Fatalf("%v; %d descriptors arrive", out.err, len(x.letters[0].files))
	}
	one.wantAlive(x.letters[0].files[0])
}

// s12eFilesThatNobodyGetsAreClosed has descriptors end in every place on their
// way.
func s12eFilesThatNobodyGetsAreClosed(w *world) {
	if !w.hasDatagrams() {
		return
	}
	a, b := w.unixPair()
	unasked := w.passing()
	r := b.read(1) // without a Msg
	a.pass(made(1, 0, 10), unasked)
	w.until("the bytes arrive", r.has(10))
	unasked.wantGone("not asked for")

	out := w.stall(b, 2)
	out.cancel()
	w.until("it ends", out.isIdle)
	stuck := w.passing()
	p := b.pass([]byte("x"), stuck)
	w.step()
	p.cancel()
	w.until("it ends", p.isIdle)
	if p.err == proactor.ErrCanceled {
		stuck.wantGone("canceled")
	}

	c, d := w.unixPair()
	unread := w.passing()
	q := c.pass([]byte("x"), unread)
	w.until("it is sent", q.isIdle)
	d.close()
	unread.wantGone("not read")
	refused := w.passing()
	q = c.pass([]byte("x"), refused)
	w.until("it fails", q.isIdle)
	if q.err == nil {
		w.Fatal("a Send to a closed stream succeeds")
	}
	refused.wantGone("not sent")
}

// s12eFilesUnsentAtCloseAreClosed closes a backend while descriptors wait behind
// bytes that nobody reads, and while others have been submitted just now.
func s12eFilesUnsentAtCloseAreClosed(w *world) {
	if !w.hasDatagrams() {
		return
	}
	d := w.another()
	a, _ := w.unixPair()
	b, peer := w.unixPair()
	full, free := a.move(d), b.move(d)
	out := w.stall(full, 1)
	out.cancel()
	w.until("it ends", out.isIdle)
	stuck, fresh := w.passing(), w.passing()
	p := full.pass([]byte("x"), stuck)
	for range 3 {
		w.step()
	}
	waits := p.live
	free.pass([]byte("x"), fresh)
	d.closed = true // from now on every completion is a breach
	if err := d.b.Close(); err != nil {
		w.Fatalf("Close: %v", err)
	}
	if waits {
		stuck.wantGone("waiting at Close")
	}
	peer.close() // who may have been sent it
	fresh.wantGone("submitted before Close")
}

func s12eWhatCannotTravelIsRefused(w *world) {
	if !w.hasDatagrams() {
		return
	}
	a, _ := w.connect()
	x := w.passing()
	p := a.pass([]byte("x"), x)
	w.until("it ends", p.isIdle)
	if p.err != syscall.EOPNOTSUPP {
		w.Errorf("descriptors on TCP: %v, want EOPNOTSUPP", p.err)
	}
	x.wantGone("on TCP")
	c, _ := w.unixPair()
	y := w.passing()
	p = c.pass(nil, y)
	w.until("it ends", p.isIdle)
	if p.err != syscall.EINVAL {
		w.Errorf("descriptors without a byte: %v, want EINVAL", p.err)
	}
	y.wantGone("without a byte")
}
