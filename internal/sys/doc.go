// Package sys is where descriptors live: sockets are made, configured, named,
// adopted and closed here, in one place for every backend that has
// descriptors (io_uring, epoll, kqueue).
//
// A backend embeds [Sockets], which implements proactor.Sockets, and looks its
// handles up in it. Package sys performs no operation of its own: it never
// reads, and it writes only in TryWrite.
package sys
