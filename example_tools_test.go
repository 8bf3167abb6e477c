package mobius_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"syscall"
	"time"

	"mobius"
)

// A destination is where to connect to: a name, which is looked up at each
// attempt, or an address.
func ExampleParseDestination() {
	for _, text := range []string{"example.com:80", "[2001:db8::1]:80", "example.com"} {
		to, err := mobius.ParseDestination("tcp", text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		name, _ := to.Host()
		fmt.Printf("%v: name %q, address valid: %v\n", to, name, to.Address().IsValid())
	}
	// Output:
	// example.com:80: name "example.com", address valid: false
	// [2001:db8::1]:80: name "", address valid: true
	// destination "example.com": want HOST:PORT: address example.com: missing port in address
}

// The reactor's time goes on as its backend's does: here a simulated one's.
func ExampleReactor_Seconds() {
	r := virtual()
	r.CallWhenRunning(func() {
		begin := r.Seconds()
		r.CallLater(90*time.Minute, func() {
			fmt.Println(r.Seconds()-begin, "seconds later")
			r.Stop()
		})
	})
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: 5400 seconds later
}

// One thread: calls in threads come one after another.
func ExampleReactor_SuggestThreadPoolSize() {
	r := newReactor(mobius.Options{})
	fmt.Println(r.SuggestThreadPoolSize(0))
	if err := r.SuggestThreadPoolSize(1); err != nil {
		log.Fatal(err)
	}
	for i := range 3 {
		r.CallInThread(func() { fmt.Println("call", i) })
	}
	r.CallInThread(func() { r.Stop() })
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// mobius: 0 threads for calls, want 1 to 64
	// call 0
	// call 1
	// call 2
}

// Who watches which descriptor can be asked, and ended.
func ExampleReactor_RemoveReader() {
	r := newReactor(mobius.Options{})
	defer r.Close()
	in, out, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	reader, writer := &watched{r: r, file: in}, &filling{r: r, file: out}
	if err := r.AddReader(reader); err != nil {
		log.Fatal(err)
	}
	if err := r.AddWriter(writer); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(r.Readers()), len(r.Writers()), r.Readers()[0] == mobius.FileDescriptor(reader))
	if err := r.RemoveReader(reader); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(r.Readers()), len(r.Writers()))
	fmt.Println(len(r.RemoveAll()), len(r.Writers()))
	// Output:
	// 1 1 true
	// 0 1
	// 1 0
}

// What does the I/O, and why: on a kernel that refuses io_uring it is epoll.
func ExampleReactor_Backend() {
	r := virtual()
	defer r.Close()
	fmt.Println(r.Backend().Name)
	// Output: sim
}

// A socket that was inherited is known by its number alone: where it listens can
// be asked, and what is not wanted is closed.
func ExampleReactor_AddrOf() {
	r := newReactor(mobius.Options{})
	defer r.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	number, err := syscall.Dup(int(f.Fd())) // as if it were inherited
	if err != nil {
		log.Fatal(err)
	}
	at, err := r.AddrOf(number)
	fmt.Println(at.String() == l.Addr().String(), err)
	fmt.Println(r.Discard(number), r.Discard(number))
	// Output:
	// true <nil>
	// <nil> bad file descriptor
}
