//go:build race || invariants

package invariant

// Enabled reports whether checks are compiled in.
const Enabled = true
