// Package sim is a network, a kernel and a clock that exist only in memory,
// and that one number, the seed, decides completely.
//
// [New] makes a network and its virtual clock. [Net.Open] makes a backend on
// it, which implements [proactor.Backend] in full; any number of backends
// share one network, each standing for a host, or for a loop of one program.
// Whatever is built on the seam runs on it unchanged: connections with
// latency, cut and delayed in every way that a kernel may cut and delay them,
// refused, reset and timed out; descriptors that run out; cancels that come
// late; buffers that are scribbled over as soon as they are taken back.
//
// Which of these things happen, and how often, is drawn from the seed
// ("swarm": some seeds have no fault at all, some have many), or is set by
// [Faults]. One seed is one run: the same calls give the same results in the
// same order at the same virtual times, which [Net.TraceHash] shows. A test
// runs many seeds with [Run], which prints the seed and the command that
// replays it when one fails.
//
// Time is virtual: it moves only when nothing is due at present, and then at
// once to the next moment at which something is, or to the end of the Poll's
// timeout. A minute of silence costs nothing. A Poll that would wait for ever
// with nothing due on the whole network answers with a [*Deadlock], which
// names every operation that is still waiting. [Net.Leaks] says what was not
// given back.
//
// A test of a protocol builds its program on t.Net, and lets it run to an end:
//
//	func TestProtocol(t *testing.T) {
//		sim.Run(t, 2000, func(t *sim.T) {
//			net := t.Net(sim.Options{Limit: time.Hour})
//			server, _ := net.Open()
//			client, _ := net.Open()
//			// … build on them, submit, and then:
//			if err := net.Until(done); err != nil {
//				t.Fatal(err)
//			}
//		})
//	}
//
// It fails if bytes are lost, if the program hangs, if it is busy for an hour
// of virtual time, or if it leaves a handle open.
//
// # Several backends
//
// Backends on one network may be driven by one goroutine, in turn. Time then
// waits for all of them: a Poll returns early when another backend has
// results or a timeout that is due, so that its owner gets round to it. A
// backend whose owner does not Poll it again is not waited for twice.
//
// # Other goroutines
//
// Wake, a hold's Release, tokens and TryWrite work from any goroutine as the
// contract says. What another goroutine does, and when, no seed decides; so a
// test that is to be replayed calls them from the loop's own goroutine. A
// program whose loops run on goroutines of their own sets [Options].Foreign:
// then a Poll with nothing to come waits for those goroutines instead of
// reporting a deadlock.
package sim
