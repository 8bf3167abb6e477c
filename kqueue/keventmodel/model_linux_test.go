//go:build linux

package keventmodel

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/kqueue"
)

func model(t *testing.T) *Model {
	t.Helper()
	m, err := New(true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func pair(t *testing.T) (int, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func change(t *testing.T, m *Model, fd int, filter kqueue.Filter, flags kqueue.Flags) {
	t.Helper()
	if _, err := m.Kevent([]kqueue.Event{{Ident: uint64(fd), Filter: filter, Flags: flags}}, nil, 0); err != nil {
		t.Fatal(err)
	}
}

// take returns what has happened, without Data.
func take(t *testing.T, m *Model) []kqueue.Event {
	t.Helper()
	out := make([]kqueue.Event, 8)
	n, err := m.Kevent(nil, out, 0)
	if err != nil {
		t.Fatal(err)
	}
	return out[:n]
}

func TestClearReportsWhatIsNewOnce(t *testing.T) {
	m := model(t)
	a, b := pair(t)
	change(t, m, a, kqueue.Read, kqueue.Add|kqueue.Clear)
	if got := take(t, m); len(got) != 0 {
		t.Fatalf("nothing has happened: %+v", got)
	}
	for range 2 { // the second time with bytes unread
		unix.Write(b, []byte("xyz"))
		if got := take(t, m); len(got) != 1 || got[0].Ident != uint64(a) || got[0].Filter != kqueue.Read || got[0].Flags != 0 {
			t.Fatalf("bytes: %+v", got)
		}
		if got := take(t, m); len(got) != 0 {
			t.Fatalf("the same once more: %+v", got)
		}
	}
}

func TestEOFComesOnceBesideTheBytes(t *testing.T) {
	m := model(t)
	a, b := pair(t)
	unix.Write(b, []byte("xyz"))
	unix.Shutdown(b, unix.SHUT_WR)
	change(t, m, a, kqueue.Read, kqueue.Add|kqueue.Clear)
	got := take(t, m)
	if len(got) != 1 || got[0].Flags != kqueue.EOF || got[0].Data != 3 {
		t.Fatalf("3 bytes and the end: %+v", got)
	}
	if _, err := unix.Read(a, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if got := take(t, m); len(got) != 0 {
		t.Errorf("the end once more after the bytes were read: %+v", got)
	}
}

func TestFiltersAreEventsOfTheirOwn(t *testing.T) {
	m := model(t)
	a, b := pair(t)
	change(t, m, a, kqueue.Write, kqueue.Add|kqueue.Clear)
	if got := take(t, m); len(got) != 1 || got[0].Filter != kqueue.Write {
		t.Fatalf("room: %+v", got)
	}
	change(t, m, a, kqueue.Read, kqueue.Add|kqueue.Clear)
	unix.Write(b, []byte("x"))
	if got := take(t, m); len(got) != 1 || got[0].Filter != kqueue.Read {
		t.Fatalf("bytes are no room: %+v", got)
	}
	change(t, m, a, kqueue.Read, kqueue.Delete)
	unix.Write(b, []byte("x"))
	if got := take(t, m); len(got) != 0 {
		t.Fatalf("after Delete: %+v", got)
	}
}

func TestUserEventAndTimeout(t *testing.T) {
	m := model(t)
	trigger := []kqueue.Event{{Filter: kqueue.User, Notes: kqueue.Trigger}}
	if _, err := m.Kevent(trigger, nil, 0); err != unix.ENOENT {
		t.Errorf("Trigger before Add: %v", err)
	}
	change(t, m, 0, kqueue.User, kqueue.Add|kqueue.Clear)
	out := make([]kqueue.Event, 1)
	start := time.Now()
	if n, err := m.Kevent(nil, out, 20*time.Millisecond); n != 0 || err != nil || time.Since(start) < 20*time.Millisecond {
		t.Errorf("%d, %v after %v", n, err, time.Since(start))
	}
	go m.Kevent(trigger, nil, 0)
	if n, err := m.Kevent(nil, out, -1); n != 1 || err != nil || out[0].Filter != kqueue.User {
		t.Errorf("%d, %v, %+v", n, err, out)
	}
	if n, _ := m.Kevent(nil, out, 0); n != 0 {
		t.Errorf("triggered once, reported twice: %+v", out)
	}
}

func TestFailedChanges(t *testing.T) {
	m := model(t)
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	both := []kqueue.Event{
		{Ident: uint64(fds[0]), Filter: kqueue.Read, Flags: kqueue.Add | kqueue.Clear},
		{Ident: uint64(fds[0]), Filter: kqueue.Write, Flags: kqueue.Add | kqueue.Clear},
	}
	if _, err := m.Kevent(both, nil, 0); err != unix.EINVAL {
		t.Errorf("writing to the reading end: %v", err)
	}
	out := make([]kqueue.Event, 4)
	n, err := m.Kevent(both, out, -1)
	if err != nil || !slices.Equal(out[:n], []kqueue.Event{{Ident: uint64(fds[0]), Filter: kqueue.Write,
		Flags: kqueue.Failed, Data: int64(unix.EINVAL)}}) {
		t.Errorf("%+v, %v", out[:n], err)
	}
	if _, err := m.Kevent([]kqueue.Event{{Ident: 9999, Filter: kqueue.Read, Flags: kqueue.Add}}, nil, 0); err != unix.EBADF {
		t.Errorf("of no descriptor: %v", err)
	}
}
