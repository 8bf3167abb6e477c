package mobius_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"mobius"
)

// What blocks is called away from the loop; its result comes back to it.
func ExampleDeferToThread() {
	r := newReactor(mobius.Options{})
	read := mobius.DeferToThread(r, func() ([]byte, error) { return os.ReadFile("go.mod") })
	read.Then(func(text []byte, err error) {
		fmt.Println(len(text) > 0, err, "on the loop:", r.OnLoop())
		r.Stop()
	})
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: true <nil> on the loop: true
}

func ExampleReactor_CallInThread() {
	r := newReactor(mobius.Options{Threads: 4})
	if err := r.CallInThread(func() {
		fmt.Println("on the loop:", r.OnLoop())
		r.Stop()
	}); err != nil {
		log.Fatal(err)
	}
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: on the loop: false
}

// Another goroutine asks the loop for something, and waits.
func ExampleBlockingCallFromThread() {
	r := newReactor(mobius.Options{})
	go func() {
		running, err := mobius.BlockingCallFromThread(context.Background(), r, func() (bool, error) { return r.Running(), nil })
		fmt.Println(running, err)
		r.Stop()
	}()
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: true <nil>
}
