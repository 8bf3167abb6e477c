// Package report writes what a run has measured: one self-contained page of
// HTML, benchmark text for benchstat, and JSON; and compares it with an earlier
// run. Nothing in it measures anything.
package report
