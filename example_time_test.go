package mobius_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"mobius"
	"mobius/proactor"
	"mobius/sim"
)

// virtual returns a reactor whose time is virtual: examples take none of it.
func virtual() *mobius.Reactor {
	net := sim.New(sim.Options{Faults: sim.NoFaults, Foreign: true})
	return newReactor(mobius.Options{Open: func(int) (proactor.Backend, error) { return net.Open() }})
}

func ExampleReactor_CallLater() {
	r := virtual()
	r.CallLater(2*time.Hour, func() { fmt.Println("later"); r.Stop() })
	r.CallLater(time.Hour, func() { fmt.Println("sooner") })
	late := r.CallLater(time.Hour, func() { fmt.Println("never") })
	late.Delay(time.Minute)
	fmt.Println(len(r.DelayedCalls()), "calls,", late.Cancel(), late.Active())
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 3 calls, true false
	// sooner
	// later
}

func ExampleNewLoopingCall() {
	r := virtual()
	n := 0
	c := mobius.NewLoopingCall(r, func() error {
		if n++; n == 3 {
			return errors.New("enough")
		}
		fmt.Println("tick at", r.Now())
		return nil
	})
	ended, err := c.Start(time.Second, false)
	if err != nil {
		log.Fatal(err)
	}
	ended.Then(func(_ struct{}, err error) { fmt.Println(err); r.Stop() })
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// tick at 1s
	// tick at 2s
	// enough
}

// Slots that were missed are counted, not made up for.
func ExampleNewLoopingCallWithCount() {
	r := virtual()
	c := mobius.NewLoopingCallWithCount(r, func(count int) error {
		fmt.Println(count, "at", r.Now())
		return nil
	})
	if _, err := c.Start(time.Second, false); err != nil {
		log.Fatal(err)
	}
	r.CallLater(2500*time.Millisecond, func() { r.Stop() })
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1 at 1s
	// 1 at 2s
}

// A call whose work goes on is not called again meanwhile.
func ExampleNewLoopingCallAsync() {
	r := virtual()
	c := mobius.NewLoopingCallAsync(r, func(count int) mobius.Awaitable {
		fmt.Println(count, "at", r.Now())
		return mobius.DeferLater(r, 1500*time.Millisecond, func() (int, error) { return 0, nil })
	})
	if _, err := c.Start(time.Second, false); err != nil {
		log.Fatal(err)
	}
	r.CallLater(4*time.Second, func() { r.Stop() })
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1 at 1s
	// 2 at 3s
}

func ExampleDeferLater() {
	r := virtual()
	mobius.DeferLater(r, time.Hour, func() (string, error) { return "an hour later", nil }).Then(func(s string, err error) {
		fmt.Println(s, err)
		r.Stop()
	})
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: an hour later <nil>
}

func ExampleReact() {
	r := virtual()
	fmt.Println(mobius.React(context.Background(), r, func() *mobius.Future[int] {
		return mobius.DeferLater(r, time.Second, func() (int, error) { return 42, nil })
	}))
	// Output: 42 <nil>
}
