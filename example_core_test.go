package mobius_test

import (
	"context"
	"fmt"
	"log"
	"runtime"
	"syscall"
	"time"

	"mobius"
)

func newReactor(o mobius.Options) *mobius.Reactor {
	r, err := mobius.New(o)
	if err != nil {
		log.Fatal(err)
	}
	return r
}

// A reactor's life: Stop has the event Shutdown happen.
func ExampleReactor_Run() {
	r := newReactor(mobius.Options{})
	r.CallWhenRunning(func() {
		fmt.Println("running:", r.Running())
		r.Stop()
	})
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("running:", r.Running(), "and again:", r.Run(context.Background()))
	// Output:
	// running: true
	// running: false and again: mobius: the reactor has been stopped, and cannot be run again
}

// Connections are there in Before and Drain, and gone in During.
func ExampleReactor_AddSystemEventTrigger() {
	r := newReactor(mobius.Options{})
	r.AddSystemEventTrigger(mobius.After, mobius.Shutdown, func() { fmt.Println("over") })
	r.AddSystemEventTrigger(mobius.Before, mobius.Shutdown, func() { fmt.Println("no more work") })
	r.AddSystemEventWait(mobius.Drain, mobius.Shutdown, func() mobius.Awaitable {
		return mobius.DeferLater(r, time.Millisecond, func() (int, error) {
			fmt.Println("what was left is done")
			return 0, nil
		})
	})
	r.CallWhenRunning(func() { r.Stop() })
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// no more work
	// what was left is done
	// over
}

// A program's own event.
func ExampleReactor_FireSystemEvent() {
	r := newReactor(mobius.Options{})
	defer r.Close()
	r.AddSystemEventTrigger(mobius.During, "reload", func() { fmt.Println("read the configuration") })
	r.FireSystemEvent("reload")
	// Output: read the configuration
}

// SIGINT and SIGTERM stop the reactor, SIGHUP does what the program says.
func ExampleSignals() {
	var r *mobius.Reactor
	r = newReactor(mobius.Options{Signals: &mobius.Signals{
		Handle: map[mobius.Signal]func(mobius.Signal){
			syscall.SIGHUP: func(mobius.Signal) { r.FireSystemEvent("reload") },
		},
		Source: func(notify func(mobius.Signal), _ ...mobius.Signal) (stop func()) { // without it: the process's
			notify(syscall.SIGHUP)
			notify(syscall.SIGTERM)
			return func() {}
		},
	}})
	r.AddSystemEventTrigger(mobius.During, "reload", func() { fmt.Println("read the configuration") })
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("stopped by:", r.StopSignal())
	// Output:
	// read the configuration
	// stopped by: terminated
}

// Crash leaves everything as it is, for the next Run.
func ExampleReactor_Crash() {
	r := newReactor(mobius.Options{})
	r.CallLater(time.Millisecond, func() { fmt.Println("a call of before"); r.Stop() })
	r.CallWhenRunning(func() { r.Crash() })
	for range 2 {
		if err := r.Run(context.Background()); err != nil {
			log.Fatal(err)
		}
		fmt.Println("Run has returned")
	}
	// Output:
	// Run has returned
	// a call of before
	// Run has returned
}

// Inside a main loop of somebody else's.
func ExampleReactor_Iterate() {
	runtime.LockOSThread() // the loop is this goroutine's
	defer runtime.UnlockOSThread()
	r := newReactor(mobius.Options{})
	r.CallLater(time.Millisecond, func() { fmt.Println("called"); r.Stop() })
	for {
		// … what the program has to do …
		if err := r.Iterate(10 * time.Millisecond); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// called
	// the loop has stopped
}

func ExampleReactor_Shutdown() {
	r := newReactor(mobius.Options{})
	if _, err := r.ListenTCP("127.0.0.1:0", mobius.FactoryFunc(newEcho)); err != nil {
		log.Fatal(err)
	}
	r.AddSystemEventTrigger(mobius.After, mobius.Shutdown, func() { fmt.Println("drained") })
	ended := make(chan error, 1)
	r.CallWhenRunning(func() { // Shutdown waits, so it needs a goroutine of its own
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			ended <- r.Shutdown(ctx)
		}()
	})
	if err := r.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("in good order:", <-ended == nil)
	// Output:
	// drained
	// in good order: true
}
