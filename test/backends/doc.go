// Package backends runs a test of what stands above the seam on every backend
// that this machine has, each forced by name. Only tests import it.
package backends
