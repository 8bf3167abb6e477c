package proactor

// Events are what a Poll waits for, and reports.
type Events uint8

// The events. Failed is only ever a result: an error or a hang-up is pending
// and will be met by the next read or write (POLLERR, POLLHUP), which is why
// whatever was asked for is a result with it.
const (
	Readable Events = 1 << iota
	Writable
	Failed
)
