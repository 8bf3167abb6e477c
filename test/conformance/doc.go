// Package conformance runs the suite of package backendtest on every backend,
// forced by name, as shipped and with hostile limits, and on pairs of them.
package conformance
