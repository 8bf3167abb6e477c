package loop_test

import (
	"context"
	"fmt"
	"time"

	"mobius/loop"
	"mobius/sim"
)

// A loop on a simulated network, whose minutes take no time. Another backend
// is all that a real program changes.
func Example() {
	backend, err := sim.New(sim.Options{Faults: sim.NoFaults}).Open()
	if err != nil {
		fmt.Println(err)
		return
	}
	l := loop.New(backend, loop.Options{})

	ticks := 0
	var tick loop.Timer
	tick.Func = func() {
		if ticks++; ticks < 3 {
			l.Start(&tick, time.Minute)
			return
		}
		fmt.Println("three ticks at", l.Now())
		l.Stop()
	}
	l.Start(&tick, time.Minute)
	l.Call(func() { fmt.Println("called before the first tick") })

	fmt.Println(l.Run())
	// Output:
	// called before the first tick
	// three ticks at 3m0s
	// <nil>
}

// A future is completed on the loop, and waited for anywhere else.
func ExampleFuture() {
	backend, err := sim.New(sim.Options{Faults: sim.NoFaults}).Open()
	if err != nil {
		fmt.Println(err)
		return
	}
	l := loop.New(backend, loop.Options{})
	answer := loop.NewFuture[int](l)
	l.Start(&loop.Timer{Func: func() { answer.Complete(42, nil) }}, time.Second)
	answer.Then(func(int, error) { l.Stop() })
	ended := make(chan error)
	go func() { ended <- l.Run() }()
	fmt.Println(answer.Wait(context.Background()))
	fmt.Println(<-ended)
	// Output:
	// 42 <nil>
	// <nil>
}
