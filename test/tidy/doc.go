// Package tidy holds the rules of the house that a program can check: who may
// import whom, how long things may grow, what must be documented, and what is
// banned, each with what to use instead.
//
// Every rule is a function from a [Tree] to findings. The tests run it on this
// module, which must yield none, and on planted sources, which must yield some:
// a check that cannot fail is no check.
package tidy
