// Package fake has doubles for the tests of protocols, factories and producers:
// they need no network, take no time, and are strict. All of them stand on
// package sim, whose network and clock are Mobius' own in tests.
//
//   - A [Transport] keeps what a protocol writes, and hands it what the test
//     says (Twisted's StringTransport).
//   - A [Clock] moves when the test says so (Twisted's task.Clock).
//   - A [Reactor] is a whole mobius.Reactor on a simulated network, which notes
//     where it listens and connects (Twisted's MemoryReactorClock).
//   - A [Pump] connects two protocols in memory and moves time, and what they
//     write, by steps (Twisted's iosim).
//   - A [PushProducer] is a producer that bears no call that should not come
//     (Twisted's StrictPushProducer).
//   - [Each] runs a test on every backend, and skips those that cannot be had
//     here (Twisted's ReactorBuilder).
//
// What a double must not be asked for panics with an error that wraps
// [ErrMisuse], unless its Fail takes it. A panic of the program's callbacks is
// an error of the Advance in which it happened.
//
// Unless they say otherwise, all methods are for one goroutine: the test's.
package fake
