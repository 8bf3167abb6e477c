//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"errors"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const testFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_TASKRUN_FLAG

func newTestRing(t *testing.T, s Setup) *Ring {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	r, err := NewRing(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return r
}

func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fds[0]); _ = unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func next(t *testing.T, r *Ring) CQE {
	t.Helper()
	for range 10 {
		if c, ok := r.NextCQE(); ok {
			return c
		}
		if _, err := r.Wait(1, time.Second); err != nil {
			t.Fatal("wait:", err)
		}
	}
	t.Fatal("no completion")
	return CQE{}
}

func prep(t *testing.T, r *Ring) *SQE {
	t.Helper()
	e := r.NextSQE()
	if e == nil {
		t.Fatal("no submission entry")
	}
	return e
}

func mapped(t *testing.T, n int) []byte {
	t.Helper()
	m, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(m) })
	return m
}

func TestRingWithAndWithoutSQArray(t *testing.T) {
	for _, optional := range []uint32{0, IORING_SETUP_NO_SQARRAY} {
		r := newTestRing(t, Setup{Entries: 4, Flags: testFlags, Optional: optional})
		for i := range 11 { // more than fit: NextSQE submits by itself
			prep(t, r).PrepNop(uint64(i))
		}
		for i := range 11 {
			if c := next(t, r); c.UserData != uint64(i) || c.Res != 0 {
				t.Fatalf("optional %#x: completion %d is %+v", optional, i, c)
			}
		}
	}
}

func TestOptionalFlagsAreGivenUp(t *testing.T) {
	refused := 0
	r, err := NewRing(Setup{Entries: 4, Optional: IORING_SETUP_NO_SQARRAY, fail: func(call string, flags uint32) syscall.Errno {
		if call == "setup" && flags&IORING_SETUP_NO_SQARRAY != 0 {
			refused++
			return syscall.EINVAL
		}
		return 0
	}})
	if err != nil || refused != 1 || r.Flags()&IORING_SETUP_NO_SQARRAY != 0 {
		t.Fatalf("err %v, refused %d", err, refused)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal("second close:", err)
	}
}

func TestSetupErrorsAreErrnos(t *testing.T) {
	if _, err := NewRing(Setup{Entries: 4, Flags: IORING_SETUP_SQE128}); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("SQE128: %v", err)
	}
	if _, err := NewRing(Setup{Entries: -1}); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("entries -1: %v", err)
	}
}

func TestWaitTimesOut(t *testing.T) {
	r := newTestRing(t, Setup{Entries: 4, Flags: testFlags})
	start := time.Now()
	if n, err := r.Wait(1, 20*time.Millisecond); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if d := time.Since(start); d < 20*time.Millisecond || d > 20*time.Second {
		t.Errorf("waited %v", d)
	}
	if _, err := r.Wait(0, -1); err != nil {
		t.Error("Wait(0) waits or fails:", err)
	}
}

func TestRegisteredFD(t *testing.T) {
	a := newTestRing(t, Setup{Entries: 4, Flags: testFlags})
	b := newTestRing(t, Setup{Entries: 4, Flags: testFlags})
	for _, r := range []*Ring{a, b} { // the second finds index 3 taken
		if err := r.RegisterFD(3); err != nil {
			t.Fatal(err)
		}
	}
	if a.handle != 3 || b.handle == 3 {
		t.Errorf("indices are %d and %d", a.handle, b.handle)
	}
	for _, r := range []*Ring{a, b} {
		prep(t, r).PrepNop(7)
		if c := next(t, r); c.UserData != 7 {
			t.Errorf("completion %+v", c)
		}
	}
}

func TestDisabledRingIsOwnedByWhoEnables(t *testing.T) {
	r := newTestRing(t, Setup{Entries: 4, Flags: testFlags | IORING_SETUP_R_DISABLED})
	prep(t, r).PrepNop(1)
	if _, err := r.Submit(); !errors.Is(err, syscall.EBADFD) {
		t.Fatalf("submit before Enable: %v", err)
	}
	if err := r.Enable(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_, err := r.Wait(0, 0)
		done <- err
	}()
	if err := <-done; !errors.Is(err, syscall.EEXIST) {
		t.Errorf("enter from another thread: %v, want EEXIST", err)
	}
	if c := next(t, r); c.UserData != 1 {
		t.Errorf("completion %+v", c)
	}
}

// A refused operation answers EACCES as a result, the registration as an error.
func TestRestrictionsRefuseWhatIsNotListed(t *testing.T) {
	r := newTestRing(t, Setup{Entries: 4, Flags: testFlags | IORING_SETUP_R_DISABLED})
	if err := r.Restrict([]Restriction{{Opcode: IORING_RESTRICTION_SQE_OP, Allow: IORING_OP_NOP}}); err != nil {
		t.Fatal(err)
	}
	if err := r.Enable(); err != nil {
		t.Fatal(err)
	}
	a, _ := pair(t)
	prep(t, r).PrepPoll(a, unix.POLLIN, 1)
	prep(t, r).PrepNop(2)
	e := prep(t, r)
	e.PrepNop(3)
	e.Flags = IOSQE_CQE_SKIP_SUCCESS
	want := map[uint64]int32{1: -int32(syscall.EACCES), 2: 0, 3: -int32(syscall.EACCES)}
	for range 3 {
		c := next(t, r)
		if c.Res != want[c.UserData] {
			t.Errorf("op %d: result %d, want %d", c.UserData, c.Res, want[c.UserData])
		}
	}
	if err := r.RegisterFD(0); !errors.Is(err, syscall.EACCES) {
		t.Errorf("RING_FDS: %v, want EACCES", err)
	}
}

// Facts of the kernel that the backend builds on, on the buffer ring's side.
func TestBufferRing(t *testing.T) {
	for _, flags := range []uint16{0, IOU_PBUF_RING_INC} {
		r := newTestRing(t, Setup{Entries: 8, Flags: testFlags})
		br, err := r.NewBufferRing(5, 4, flags)
		if err != nil {
			if flags != 0 && errors.Is(err, syscall.EINVAL) {
				t.Logf("no IOU_PBUF_RING_INC here: %v", err)
				continue
			}
			t.Fatal(err)
		}
		mem := mapped(t, 16384)
		for i := range 3 { // the end of the stream needs a free one, too
			br.Add(mem[i*4096:][:4096], uint16(40+i))
		}
		br.Publish()
		a, b := pair(t)
		prep(t, r).PrepRecvMultishot(a, br.Group(), 9)
		message := bytes.Repeat([]byte("mobius"), 20)
		offset := 0
		for i := range 2 {
			if _, err := unix.Write(b, message); err != nil {
				t.Fatal(err)
			}
			c := next(t, r)
			if c.Res != int32(len(message)) || !c.More() || c.Flags&IORING_CQE_F_BUFFER == 0 {
				t.Fatalf("flags %d, receive %d: %+v", flags, i, c)
			}
			id := 40
			if flags == 0 {
				offset, id = i*4096, 40+i
			}
			if c.Buffer() != uint16(id) || !bytes.Equal(mem[offset:][:c.Res], message) {
				t.Fatalf("flags %d, receive %d: buffer %d, bytes %q", flags, i, c.Buffer(), mem[offset:][:8])
			}
			offset += int(c.Res)
		}
		_ = unix.Shutdown(b, unix.SHUT_WR)
		if c := next(t, r); c.Res != 0 || c.More() {
			t.Fatalf("end of stream: %+v", c)
		}
		if err := br.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSendVectorsAndMessage(t *testing.T) {
	r := newTestRing(t, Setup{Entries: 4, Flags: testFlags})
	a, b := pair(t)
	mem := mapped(t, 4096)
	v := unsafe.Slice((*Vector)(unsafe.Pointer(unsafe.SliceData(mem))), 2)
	v[0].Set([]byte("hello, "))
	v[1].Set([]byte("world"))
	m := (*Message)(unsafe.Pointer(&mem[1024]))
	m.SetVectors(v)
	prep(t, r).PrepSendMessage(a, m, unix.MSG_WAITALL, 1)
	if c := next(t, r); c.Res != 12 {
		t.Fatalf("sendmsg: %+v", c)
	}
	prep(t, r).PrepSendVectors(a, v, unix.MSG_WAITALL, 2)
	c := next(t, r)
	got := make([]byte, 100)
	n, _ := unix.Read(b, got)
	want := "hello, world"
	switch c.Res {
	case 12:
		want += want
	case -int32(syscall.EINVAL), -int32(syscall.EFAULT): // before 6.17
	default:
		t.Fatalf("vectored send: %+v", c)
	}
	if string(got[:n]) != want {
		t.Errorf("got %q, want %q", got[:n], want)
	}
}

func TestOpsProbe(t *testing.T) {
	r := newTestRing(t, Setup{Entries: 4, Flags: testFlags})
	ops, err := r.Ops()
	if err != nil {
		t.Fatal(err)
	}
	if !ops[IORING_OP_ACCEPT] || !ops[IORING_OP_SEND] || ops[255] {
		t.Errorf("accept %v send %v 255 %v", ops[IORING_OP_ACCEPT], ops[IORING_OP_SEND], ops[255])
	}
}

// Completions that do not fit wait in the kernel, in order; none is lost.
func TestCompletionQueueOverflow(t *testing.T) {
	r := newTestRing(t, Setup{Entries: 8, CQEntries: 8, Flags: testFlags})
	for i := range 30 {
		prep(t, r).PrepNop(uint64(i))
	}
	if _, err := r.Wait(0, 0); err != nil {
		t.Fatal(err)
	}
	if !r.Overflowed() {
		t.Error("30 completions did not overflow a queue of 8")
	}
	for i := range 30 {
		if c := next(t, r); c.UserData != uint64(i) {
			t.Fatalf("completion %d is %+v", i, c)
		}
	}
	if r.Overflowed() || r.Dropped() != 0 {
		t.Error("still overflowed, or dropped")
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	r := newTestRing(t, Setup{Entries: 8, Flags: testFlags})
	if n := testing.AllocsPerRun(100, func() {
		prep(t, r).PrepNop(1)
		if _, err := r.Wait(1, time.Second); err != nil {
			t.Fatal(err)
		}
		if _, ok := r.NextCQE(); !ok {
			t.Fatal("no completion")
		}
	}); n != 0 {
		t.Errorf("%v allocations per op", n)
	}
}
