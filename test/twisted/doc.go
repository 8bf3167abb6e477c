// Package twisted holds Mobius against the behaviours that Twisted's own tests
// pin. They are numbered: the numbers are those of the list of behaviours
// derived from Twisted's own tests, 1 to 433 without every fourth, which the
// names of tests carry as Case17; X1 to X60 are behaviours that Twisted leaves
// open, for which Mobius has a rule. Where a rule and a case differ, the rule
// wins.
//
// Each number is tested here, or stands in docs/twisted.md with the reason why
// it has no meaning in Go, or, until it is written, in missing.txt. A test of
// this package counts them, so that none is lost.
//
// A case is a test, or a subtest with a literal name, called Case17 or X30
// with whatever else: TestCase17FutureInBefore, t.Run("Case17 X30 …"). It runs
// on every backend; see each, eachStream and eachHostile.
package twisted
