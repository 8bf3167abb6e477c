// Package clone does what somebody does who sees Mobius for the first time:
// clones the repository and gives the README's two commands.
package clone
