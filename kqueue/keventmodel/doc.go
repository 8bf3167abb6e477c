// Package keventmodel is a model of kevent(2) for Linux, so that package
// kqueue's selector can be tested on real sockets where there is no kqueue.
//
// It has what the selector uses: EV_ADD and EV_DELETE of the read, write, user
// and process filters, NOTE_EXIT, EV_CLEAR, EV_EOF, errors of changes, timeouts, and the rule
// that closing a descriptor takes its events out of the queue. As in the
// manual pages, the two filters of a descriptor are events of their own: what
// happens to one is not reported of the other; and EV_EOF comes once, beside
// the count of the bytes that still wait before the end.
package keventmodel
