// Package traffic sends real traffic through the real program: wrk and nginx,
// redis-benchmark and redis, and peers that do what peers do (half close,
// reset, arrive all at once, stop reading), with every byte accounted for.
//
// The tests find their servers in PATH; without one they skip, or fail if
// MOBIUS_STRICT=1. MOBIUS_LONG=1 makes them run for as long as a measurement
// takes. Most run on a plain proxy of package net too: that proves the test
// itself, and shows what an ordinary proxy does.
package traffic
