// Package dataloss holds the ways in which other event-driven networking
// libraries for Go were found to lose bytes, each as a test that passes on
// every backend here: a close with much output pending, a reply after the
// peer's end, a long vectored write to a slow reader, a write from elsewhere
// while output is pending, no descriptors left at accept.
//
// Both ends of every connection stand on one loop, so that the simulator plays
// the same tests, under many seeds.
package dataloss
