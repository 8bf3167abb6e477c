// Package backendtest holds every backend to the contract at
// [proactor.Backend], sentence by sentence.
//
// [Run] runs the whole suite against one backend, [RunPair] the part that
// makes sense with the client on one backend and the server on another.
// Each test carries the number of the sentence it is about in its name:
// S2d_ResumeDuringCancel is about sentence 2d. A test of this package checks
// that no sentence is without one.
//
// A test drives Poll itself, on one goroutine that is locked to its thread,
// and waits for nothing in any other way, so that the same test runs in
// virtual time. Beside what a test is about, the harness watches rules that
// every completion and every Poll obeys (see probe and driver), and after
// each test it looks for leaks: descriptors, goroutines, mappings, and the
// backend's own counters.
//
// The suite is tested by broken backends: [Config.Fails] runs one test
// against a backend without failing the caller's, and mutants_test.go has at
// least one mutant for each sentence, all of which must be caught.
package backendtest
