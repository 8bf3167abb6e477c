package proactor

import "mobius/internal/invariant"

// A Kind says what an [Op] does. The numbers of the sentences of the contract
// that bind a kind stand behind it; see [Backend].
type Kind uint8

// The kinds of operation.
const (
	OpAccept   Kind = iota + 1 // accept connections on Handle until end, error or cancel
	OpConnect                  // connect Handle to *Addr
	OpRecv                     // lend the bytes that arrive on Handle, until end, error, Limit or cancel
	OpSend                     // send Buf, then Bufs, on Handle
	OpRelay                    // move bytes from Handle to Relay.Dst until the end of Handle
	OpRecvFrom                 // lend the datagrams that arrive on Handle, until error or cancel
	OpSendTo                   // send Buf as one datagram (or Msg.SegmentSize cuts of it)
	OpPoll                     // wait, once, until Handle is ready for one of Events
	OpChild                    // wait for the end of the child process Handle
	OpWork                     // run Func away from the loop
	kinds
)

var kindNames = [kinds]string{
	"none", "accept", "connect", "recv", "send", "relay", "recvfrom", "sendto", "poll", "child", "work",
}

// String returns the kind's name in lower case, as it stands in errors and traces.
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "unknown"
}

// Streams reports whether ops of the kind complete many times: each
// completion but the last has More set.
func (k Kind) Streams() bool { return k == OpAccept || k == OpRecv || k == OpRecvFrom }

// A State is where an Op is in its life.
//
//	        Submit                last completion
//	Idle ───────────▶ Active ───────────────────────▶ Idle
//	                  │    ▲                           ▲
//	           Cancel │    │ Resume                    │
//	                  ▼    │        last completion    │
//	                 Stopping ─────────────────────────┘
type State uint8

// The states of an Op.
const (
	Idle     State = iota // the owner's: fields may be set, the op may be submitted
	Active                // the backend's: it will complete
	Stopping              // the backend's: a Cancel is running
)

// An Op is one operation. Whoever wants its result embeds the Op, so starting
// an operation allocates nothing. While it is not [Idle] only the backend may
// change it, it must not move, and the memory it names (Buf, Bufs, Addr, Msg,
// Relay) must stay as it is.
//
// What a Recv or a plain Send touches stands first: with thousands of streams
// each cache line of an op is a miss.
type Op struct {
	Kind   Kind
	More   bool   // result: a later completion of the same op follows
	Events Events // Poll: what to wait for. Result: what is ready
	Handle Handle // what the op works on. Relay: where bytes come from
	Owner  Completer

	B Private

	Buf   []byte // Send, SendTo: the bytes. Recv, RecvFrom result: the lent bytes
	N     int    // result: Send: bytes that the kernel took, valid beside Err. Recv: len(Buf). Child: the wait status
	Err   error  // result: nil, io.EOF, [ErrCanceled], a syscall.Errno or another of this package's errors
	Limit int    // Recv: complete (last) once this many bytes are lent; 0 means no limit
	Msg   *Msg   // RecvFrom, SendTo, and Recv, Send on unix streams: what travels beside the bytes

	Bufs [][]byte // Send: more bytes, sent after Buf in order, as one operation
	Pin  *Pin     // Send: if not nil, the bytes may be sent without a copy; see sentence 5

	// Addr is where a Connect or a SendTo goes. An Accept and a RecvFrom fill
	// in the peer's address before each completion, unless Addr is nil.
	Addr *Address

	New   Handle // result of Accept: the connection, the owner's from now on
	Relay *Relay // Relay: destination and progress
	Func  func() // Work: what to run; it must not touch anything of the loop's
}

// Private is the backend's part of an [Op]. Owners leave it alone.
type Private struct {
	State State
	Flags uint8
	Slot  uint32 // index of the op in the backend's table
	Done  int    // bytes handled so far, of this Submit
	Next  *Op    // in one [Queue]
	Where *Queue // the queue that holds the op, if any
}

// A Completer owns operations.
type Completer interface {
	// Complete receives one result. It runs on the loop's goroutine, one call
	// at a time, and never inside Submit, Cancel or Resume. It may submit and
	// cancel any op, this one too if op.More is unset.
	//
	// The bytes of a Recv or RecvFrom are lent: they are valid until Complete
	// returns, unless [Backend].Hold keeps them.
	Complete(op *Op)
}

// Active reports whether the backend owns op: it was submitted and its last
// completion has not been delivered.
func (op *Op) Active() bool { return op.B.State != Idle }

// Begin marks an idle op as submitted and clears its results. Backends call
// it first in Submit. It panics on an op that is already active, since that
// is two submits of one op, a mistake of the owner's that loses data.
func (op *Op) Begin() {
	if op.B.State != Idle {
		panic("proactor: Submit of an active " + op.Kind.String())
	}
	op.B.State = Active
	op.B.Done = 0
	op.N, op.Err, op.More, op.New = 0, nil, false, 0
}

// Deliver hands one result to the owner: the backend's only way to complete
// an op. Without more it is the last one and op is Idle when Complete runs.
// The results stay in op until Complete returns, then Recv's Buf is cleared.
func (op *Op) Deliver(n int, err error, more bool) {
	if invariant.Enabled {
		invariant.Assert(op.B.State != Idle, "completion of an idle %v", op.Kind)
		invariant.Assert(op.B.Where == nil || more, "last completion of a queued %v", op.Kind)
	}
	op.N, op.Err, op.More = n, err, more
	if err != nil {
		op.New = 0 // an accept's connection was delivered before
	}
	if !more {
		op.B.State = Idle
	}
	op.Owner.Complete(op)
}

// Remaining returns how many bytes of op.Buf and op.Bufs lie beyond the first
// op.B.Done: what a Send still has to do.
func (op *Op) Remaining() int {
	n := len(op.Buf) - op.B.Done
	for _, b := range op.Bufs {
		n += len(b)
	}
	return n
}
