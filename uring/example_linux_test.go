//go:build linux && (amd64 || arm64)

package uring_test

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/uring"
)

// TestExamples runs the bodies of the examples, and says so where io_uring may
// not be used: there the examples print what they should, since an example cannot
// be skipped.
func TestExamples(t *testing.T) {
	for name, body := range map[string]func() error{
		"ring": nop, "sendAndReceive": sendAndReceive, "bufferRing": bufferRing, "ops": ops, "restrict": restrict,
	} {
		if err := body(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
			testenv.Missing(t, "%s: %v", name, err)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// perhaps prints what an example would have printed if io_uring may not be used
// here, and any other error as it is.
func perhaps(err error, otherwise string) {
	switch {
	case err == nil:
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSYS):
		fmt.Println(otherwise)
	default:
		fmt.Println("error:", err)
	}
}

// A ring with one submission that does nothing.
func ExampleNewRing() {
	perhaps(nop(), "user data 7, result 0")
	// Output: user data 7, result 0
}

func nop() error {
	ring, err := uring.NewRing(uring.Setup{Entries: 8})
	if err != nil {
		return err
	}
	defer ring.Close()
	ring.NextSQE().PrepNop(7)
	if _, err := ring.Wait(1, -1); err != nil { // submits and waits in one system call
		return err
	}
	c, _ := ring.NextCQE()
	fmt.Printf("user data %d, result %d\n", c.UserData, c.Res)
	return nil
}

// Bytes go through a pair of sockets: a send by one typed preparation, and a
// receive that chooses its buffer when the bytes are there.
func ExampleSQE_PrepSend() {
	perhaps(sendAndReceive(), "sent 5 bytes\nreceived \"hello\"")
	// Output:
	// sent 5 bytes
	// received "hello"
}

func sendAndReceive() error {
	ring, err := uring.NewRing(uring.Setup{Entries: 8})
	if err != nil {
		return err
	}
	defer ring.Close()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])

	hello := []byte("hello") // must stay where it is until the completion
	var pinned runtime.Pinner
	pinned.Pin(&hello[0])
	defer pinned.Unpin()
	ring.NextSQE().PrepSend(fds[0], hello, unix.MSG_NOSIGNAL, 1)
	if _, err := ring.Wait(1, -1); err != nil {
		return err
	}
	c, _ := ring.NextCQE()
	fmt.Printf("sent %d bytes\n", c.Res)

	ring.NextSQE().PrepPoll(fds[1], unix.POLLIN, 2)
	if _, err := ring.Wait(1, -1); err != nil {
		return err
	}
	if c, _ := ring.NextCQE(); c.Res&unix.POLLIN != 0 {
		p := make([]byte, 16)
		n, _ := unix.Read(fds[1], p)
		fmt.Printf("received %q\n", p[:n])
	}
	return nil
}

// One submission receives all that comes, each time into a buffer of a ring.
func ExampleRing_NewBufferRing() {
	perhaps(bufferRing(), "\"one\" in buffer 0, more true\n\"two\" in buffer 1, more true\nend, more false")
	// Output:
	// "one" in buffer 0, more true
	// "two" in buffer 1, more true
	// end, more false
}

func bufferRing() error {
	ring, err := uring.NewRing(uring.Setup{Entries: 8})
	if err != nil {
		return err
	}
	defer ring.Close()
	const n, size = 4, 64
	buffers, err := ring.NewBufferRing(1, n, 0)
	if err != nil {
		return err
	}
	defer buffers.Close()
	memory, err := unix.Mmap(-1, 0, n*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	defer unix.Munmap(memory)
	for i := range n {
		buffers.Add(memory[i*size:][:size], uint16(i))
	}
	buffers.Publish()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fds[1])

	ring.NextSQE().PrepRecvMultishot(fds[0], buffers.Group(), 1)
	for _, what := range []string{"one", "two", ""} {
		if what == "" {
			err = unix.Shutdown(fds[1], unix.SHUT_WR)
		} else {
			_, err = unix.Write(fds[1], []byte(what))
		}
		if err != nil {
			return err
		}
		if _, err := ring.Wait(1, -1); err != nil {
			return err
		}
		c, _ := ring.NextCQE()
		if c.Res <= 0 {
			fmt.Printf("end, more %v\n", c.More())
			break
		}
		got := memory[int(c.Buffer())*size:][:c.Res]
		fmt.Printf("%q in buffer %d, more %v\n", got, c.Buffer(), c.More())
	}
	return unix.Close(fds[0])
}

// What the kernel can do is found by asking it, not by its version.
func ExampleRing_Ops() {
	perhaps(ops(), "accept true, opcode 255 false")
	// Output: accept true, opcode 255 false
}

func ops() error {
	ring, err := uring.NewRing(uring.Setup{Entries: 8})
	if err != nil {
		return err
	}
	defer ring.Close()
	known, err := ring.Ops()
	if err != nil {
		return err
	}
	fmt.Printf("accept %v, opcode 255 %v\n", known[uring.IORING_OP_ACCEPT], known[255])
	return nil
}

// A ring that may do nothing but one operation, from before it is enabled.
func ExampleRing_Restrict() {
	perhaps(restrict(), "nop: 0\npoll: permission denied")
	// Output:
	// nop: 0
	// poll: permission denied
}

func restrict() error {
	ring, err := uring.NewRing(uring.Setup{Entries: 8, Flags: uring.IORING_SETUP_R_DISABLED})
	if err != nil {
		return err
	}
	defer ring.Close()
	if err := ring.Restrict([]uring.Restriction{
		{Opcode: uring.IORING_RESTRICTION_SQE_OP, Allow: uring.IORING_OP_NOP},
	}); err != nil {
		return err
	}
	if err := ring.Enable(); err != nil {
		return err
	}
	ring.NextSQE().PrepNop(1)
	ring.NextSQE().PrepPoll(0, unix.POLLIN, 2)
	if _, err := ring.Wait(2, -1); err != nil {
		return err
	}
	results := map[uint64]int32{} // which comes first depends on the kernel
	for range 2 {
		c, _ := ring.NextCQE()
		results[c.UserData] = c.Res
	}
	fmt.Println("nop:", results[1])
	fmt.Println("poll:", syscall.Errno(-results[2]))
	return nil
}
